"""Tiny valid inputs of every command, and a valid command line for each."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import numpy as np
import soundfile
import yaml

from egs2.mini_meeting.diar_prune1.local.simulation import measure
from espnet_prune.data import Region
from espnet_prune.diarization import cut_windows, write_windows
from tests.data.corpora.meetings.trees import make_tree
from tests.data.corpora.utterances.trees import make_librispeech
from tests.egs2.superb_files import task
from tests.espnet.conftest import encoder
from tests.espnet.speech_corpus import training_options, write_corpus, write_tokens
from tests.espnet.trainer_options import trainer_options
from tests.report.recipe import make_recipe

_HEAD = "head={hidden: 8, num_layers: 1, num_heads: 2, ffn: 8, kernel: 3}"
ROOT = Path(__file__).parents[2]
_FILES = (
    "espnet_prune/bin/*.py", "benchmarks/run_*.py", "benchmarks/score_*.py",
    "egs2/TEMPLATE/ssl_prune1/probing/*.py", "egs2/superb/s3prl_prune1/local/*.py",
    "egs2/mini_meeting/diar_prune1/local/simulation/*.py",
)  # fmt: skip
# A verb (@ what tells two of its lines apart) and its words; those of the trainings: see build().
_TABLE = """
apply_pruning trained/distill/latest.pth --output out
run_bench --models wavlm_base_plus --inputs 1x0.2 --rounds 1 --limit 0.1 --threads 1 --output out
run_bench_training --models whisper_tiny_en --inputs 1x0.2 --rounds 1 --threads 1 --output out
run_bench_diarization --models whisper_tiny_en --minutes 0.1 --speakers 2 --threads 1 \
  --synthetic 5 --output out
run_bench_precisions exp/pruned data/windows --rounds 1 --output out
run_bench_pipeline --model whisper_tiny_en --seconds 9 --steps 2 --embeddings ssl \
  --only espnet_prune --rounds 1 --no-load --output out
compare_der data/rttm data/rttm data/rttm --uem data/uem
compress encoder --output out --pruning_conf target=0.1
convert encoder out
diarize exp/pruned data/a.wav --output out --device cpu --config decode.yaml
diarize_stream exp/pruned --device cpu --config decode.yaml --delay 1
explain encoder --output out.png
export encoder out.pt2 --output last_hidden_state --no-check
embed_utterances encoder speech --embedding mel --output out
check_data data data2 --output out
check_data@utterances speech --output out --min_seconds 0.1 --max_seconds 9 --nj 1
make_windows data --window_size 2 --window_shift 1 --output out
measure data/rttm data/uem --output out.yaml
pack exp/pruned exp/dense/config.json --output out.zip
prepare_data librispeech libri --output out --allow_incomplete
probe_encoder a=encoder --probe s utt2spk speech speech --output out.json
probe_report probes.json --output out.md
make_student random encoder encoder --output out --seed 0
profile encoder --json
report diarization exp --data_dir meetings --set test --seed 0
report pruning exp/prune_train encoder encoder --output out
report sets exp/diarized_dense/test.json --published 10.0
report speech dense=exp/dense pruned=exp/pruned --seed 0 --output out.md
report trade_off encoder=exp/diarized_dense/test.json --output out.png
report timeline data/rttm data/rttm --recording a --output out.png --uem data/uem
score_asr speech/text speech/text --output out.json
score_embedding encoder speech --embedding mel --seconds 0.5
score_streaming exp/pruned data --device cpu --config decode.yaml --delays 1
score_der data/rttm data/rttm --uem data/uem --collar 0.25 --bootstrap 9 --json
simulate_conversations a=speech --output out --turn_taking t.yaml --recordings 1 --num_speakers 2
make_table superb --published published.yaml --output out
run_task show SID --tasks tasks.yaml --upstream_ckpt encoder --output out --place fluent=.
tune_diarization exp/pruned data --grid min_share=0.1,0.2 --output out.yaml --device cpu
"""
# They go on until they are told to end, or start what does: tests/bin/test_serve.py has theirs.
_SERVICES = ("serve", "run_load")
# A kind of these is a command of its own, such as report_sets.
_KINDS = {"report": ("diarization", "pruning", "sets", "speech", "timeline", "trade_off")}


def _names(verb: str, kinds: Sequence[str]) -> list[str]:
    return [f"{verb}_{kind}" for kind in kinds] if verb in _KINDS else [verb]


COMMANDS = {
    _names(verb, words[:1])[0]: words
    for verb, *words in map(str.split, _TABLE.strip().splitlines())
}


def modules() -> dict[str, str]:
    """The module of every command, by its name."""
    files = [file for pattern in _FILES for file in sorted(ROOT.glob(pattern))]
    return {
        name: ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in files
        for name in _names(file.stem, _KINDS.get(file.stem, ()))
        if file.stem not in ("__main__", *_SERVICES)
        and "\ndef main(" in (text := file.read_text())
        and not text.startswith("#!")
    }


def _windows(labels: bool) -> list[str]:
    words = trainer_options(max_epoch=1, output_dir="out", config="train.yaml")
    for split in ("train", "valid"):
        words += [f"--{split}_shape_file", "data/windows"]
        option = f"--{split}_data_path_and_name_and_type"
        words += [option, "data/windows,speech,window_sound"]
        words += [option, "data/windows,spk_labels,window_labels_2"] if labels else []
    return words


def _training_commands() -> dict[str, list[str]]:
    model = ["--frontend_conf", "model=encoder"]
    pruning = ["target=0.1", "warmup_steps=4", "gate_lr=0.1"]
    powerset = [*model, "--diarization_conf", _HEAD, "--diarization_conf", "max_speakers=2"]
    distill = ["--student", "encoder", "--teacher", "encoder", "--distill_conf", "layers=[0, 3]"]
    return {
        "powerset_train": [*_windows(True), *powerset, "--diarization_conf", "window_size=2.0"],
        "distill_train": [*_windows(False), *distill]
        + [word for each in pruning for word in ("--pruning_conf", each)],
    }


def build(folder: Path) -> Path:
    """Write the inputs of all commands to ``folder``."""
    folder.mkdir(parents=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        encoder(Path("encoder"), 0)
        make_recipe(Path("exp"), Path("meetings"))
        for name in ("data", "data2", "speech", "trained"):
            Path(name).mkdir()
        _write_meetings(Path("data"), ("a", "b"))
        _write_meetings(Path("data2"), ("c",))
        measure.main(["data/rttm", "data/uem", "--output", "t.yaml"])
        write_corpus(Path("speech"))
        speakers = "".join(f"u{i} {'xy'[i % 2]}\n" for i in range(8))
        Path("speech/utt2spk").write_text(speakers)
        Path("speech/spk2utt").write_text("x u0 u2 u4 u6\ny u1 u3 u5 u7\n")
        make_librispeech(Path("libri"))
        Path("decode.yaml").write_text("step: 0.5\nbatch_size: 2\nvbx_conf: {Fa: 0.07}\n")
        Path("train.yaml").write_text("batch_size: 4\noptim: adamw\noptim_conf: {lr: 1.0e-3}\n")
        probe = {"utterances": 8, "classes": 2, "accuracy": {"a": 0.5}}
        probes = {"seed": 0, "encoders": {"a": {"params": 9, "macs": 9}}, "probes": {"s": probe}}
        Path("probes.json").write_text(json.dumps(probes))
        make_tree("ami", Path("ami"))
        Path("superb/SID").mkdir(parents=True)
        Path("superb/SID/result.json").write_text("{}")
        Path("published.yaml").write_text(
            "source: a paper\ncolumns: [SID]\nmodels: {dense: [90]}\n"
        )
        sid = asdict(task(name="SID"))
        Path("tasks.yaml").write_text(yaml.safe_dump({sid.pop("name"): sid}))
        COMMANDS.update(_training_commands())
        _train_all()
    finally:
        os.chdir(before)
    return folder


def _embedding_training() -> list[str]:
    words = trainer_options(max_epoch=1, output_dir="out", config="train.yaml", model="encoder")
    for split in ("train", "valid"):
        words += [f"--{split}_shape_file", "speech/utt2num_samples"]
        for entry in ("wav.scp,speech,sound", "utt2spk,speaker,text", "mel,embedding,text_float"):
            words += [f"--{split}_data_path_and_name_and_type", f"speech/{entry}"]
    return [*words, "--speakers", "speech/spk2utt", "--head_conf", "size=160"]


def _train_all() -> None:
    import_module("espnet_prune.bin.embed_utterances").main(
        ["encoder", "speech", "--embedding", "mel", "--output", "speech/mel"]
    )
    COMMANDS["embedding_train"] = _embedding_training()
    for name in ("powerset", "distill", "embedding"):
        words = list(COMMANDS[f"{name}_train"])
        words[words.index("out")] = f"trained/{name}"
        import_module(f"espnet_prune.bin.{name}_train").main(words)
    tokens = write_tokens(Path("speech"), "char")
    options = training_options(Path("speech"), Path("trained/asr"), Path("encoder"))
    command = [*options, *tokens, "--max_epoch", "1"]
    import_module("espnet_prune.bin.asr_train").main(command)
    for verb in ("asr_train", "slu_train"):
        COMMANDS[verb] = ["out" if word == "trained/asr" else word for word in command]
    layers = "{output_size: 8, attention_heads: 2, linear_units: 8, num_blocks: 1, "
    layers += "input_layer: linear}"
    block = ["--encoder", "transformer", "--encoder_conf", layers]
    COMMANDS["slu_train"] += block
    COMMANDS["diar_train"] = [*_windows(True), "--frontend", "pruned_ssl"]
    COMMANDS["diar_train"] += ["--frontend_conf", "model=encoder", "--num_spk", "2"]
    COMMANDS["diar_train"] += [
        *block,
        "--label_aggregator_conf",
        "{win_length: 400, hop_length: 320}",
    ]


def _write_meetings(folder: Path, names: tuple[str, ...]) -> None:
    noise = np.random.default_rng(0)
    regions = {name: [Region(name, 0.0, 4.0)] for name in names}
    for name in names:
        soundfile.write(folder / f"{name}.wav", 0.1 * noise.standard_normal(64000), 16000)
    lines = (
        f"SPEAKER {n} 1 {s} 1.5 <NA> <NA> {w} <NA> <NA>\n"
        for n in names
        for s, w in ((0.5, "x"), (2.0, "y"))
    )
    (folder / "rttm").write_text("".join(lines))
    (folder / "wav.scp").write_text("".join(f"{n} {folder}/{n}.wav\n" for n in names))
    (folder / "uem").write_text("".join(f"{n} 1 0.0 4.0\n" for n in names))
    write_windows(folder / "windows", cut_windows(regions, 2.0, 1.0))
