"""SUPERB's recipe: ten tasks that s3prl understands, checked data, and two that run here."""

from __future__ import annotations

import csv
import importlib
import json
import os
import re
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from espnet_prune.bin import superb_task
from espnet_prune.report.superb import read_published
from espnet_prune.report.superb_tasks import read_tasks, resolved, training_commands
from espnet_prune.ssl import SSLEncoder
from tests.report.superb_files import setup, write

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "egs2/superb"
TASKS = read_tasks(RECIPE / "conf/tasks.yaml")
MINI = read_tasks(RECIPE / "conf/mini.yaml")
WAVLM_MINI = ROOT / "egs2/mini_meeting/ssl1/wavlm_mini"
# The folder s3prl of its sources, as run.sh --stage 1 fetches them; its packages lack most of it.
SOURCES = Path(os.environ.get("S3PRL_SOURCES", RECIPE / "downloads/s3prl/s3prl"))
CORPORA = (
    *("librispeech", "lengths", "speech_commands", "speech_commands_test", "quesst14"),
    *("voxceleb1", "iemocap", "fluent", "snips", "libri2mix"),
)
RATE = 16000
RNG = np.random.default_rng(0)


def places(sources: Path = SOURCES) -> dict[str, str]:
    """A folder for every name in braces."""
    return {
        **{name: f"/corpora/{name}" for name in CORPORA},
        "s3prl": str(sources),
        "conf": str(RECIPE / "conf"),
    }


def config_value(config, key):
    for part in key.split("."):
        config = config[part]
    return config


def test_the_tasks_are_superbs_ten_and_their_metrics_those_of_the_published_table():
    assert sorted(TASKS) == ["asr", "asv", "er", "ic", "ks", "pr", "qbe", "sd", "sf", "sid"]
    metrics = [metric for task in TASKS.values() for metric in task.metrics]
    published = read_published(RECIPE / "conf/published.yaml")
    assert sorted(metrics) == sorted(set(published.columns) - {"params"})


def test_nothing_but_paths_the_fold_and_the_learning_rate_is_chosen(tmp_path):
    for task in TASKS.values():
        values = resolved(task, setup(tmp_path, places=places(Path("/sources"))))
        values.pop("downstream_expert.datarc.test_fold", None)
        for value in values.values():
            for path in value if isinstance(value, list) else [value]:
                assert path.startswith(("/corpora/", "/sources/")), f"{task.name}: {path}"


@pytest.mark.skipif(not find_spec("s3prl"), reason="needs s3prl")
@pytest.mark.parametrize("name", sorted(set(TASKS) - {"pr", "sf"}))
def test_s3prls_experts_read_every_overridden_key(name):
    # The corpora of the ctc tasks are not in s3prl's package.
    folder = Path(find_spec("s3prl").origin).parent / "downstream" / TASKS[name].downstream
    code = "".join(path.read_text() for path in folder.glob("*.py"))
    for key in TASKS[name].overrides:
        last = key.rpartition(".")[2]
        # diarization's are mode + "_dir"
        assert last in code or (last.endswith("_dir") and "_dir" in code), key


@pytest.mark.skipif(not SOURCES.is_dir(), reason="needs s3prl's sources, see S3PRL_SOURCES")
@pytest.mark.parametrize("name", sorted(TASKS))
def test_s3prls_own_configuration_has_every_overridden_key(name, tmp_path, parsed):
    task = TASKS[name]
    here = setup(tmp_path, places=places())
    for key, value in resolved(task, here).items():
        config = yaml.safe_load(Path(task.config.format(**places())).read_text())
        assert type(config_value(config, key)) is type(value), key
        for path in value if isinstance(value, list) else [value]:
            assert path.startswith("/corpora/") or Path(path).exists() or "fold" in path, path
    if task.lr is not None:
        (command, *_) = training_commands(task, here)
        _, config = parsed(command)
        assert config["optimizer"]["lr"] == task.lr
        assert config["runner"]["total_steps"] >= 30000


@pytest.mark.parametrize("name", sorted(MINI))
def test_the_small_configurations_are_complete(name, tmp_path, parsed):
    task = MINI[name]
    (command,) = training_commands(task, setup(tmp_path, places=places()))
    args, config = parsed(command)
    assert args["upstream"] == "pruned_wavlm" and args["downstream"] == task.downstream
    runner = config["runner"]
    assert (
        runner["total_steps"] % runner["eval_step"]
        == runner["eval_step"] % runner["save_step"]
        == 0
    )
    assert config["optimizer"]["lr"] == task.lr
    for key, value in resolved(task, setup(tmp_path, places=places())).items():
        assert config_value(config, key) == value


@pytest.fixture
def parsed(tmp_path, monkeypatch):
    """What s3prl's own parser makes of a command: arguments and configuration."""
    pytest.importorskip("s3prl")
    import s3prl_plugin  # noqa: F401, before s3prl, which cannot be imported beside newer libraries

    run_downstream = importlib.import_module("s3prl.run_downstream")
    monkeypatch.chdir(tmp_path)

    def parse(command):
        monkeypatch.setattr(sys, "argv", ["run_downstream", *command.arguments])
        args, config, _ = run_downstream.get_downstream_args()
        return vars(args), config

    return parse


def light(folder: Path) -> dict[str, str]:
    """An environment without ESPnet: s3prl then starts in a quarter of the time."""
    write(folder / "espnet2.py", ["raise ModuleNotFoundError('espnet2')"])
    search = os.pathsep.join([str(folder), str(ROOT)])
    return {**os.environ, "HOME": str(folder), "PYTHONPATH": search}


# Data


def check(corpus, folder, overrides=None):
    """Run the check of one corpus."""
    checks = runpy.run_path(str(RECIPE / "local/corpora.py"))["CORPORA"]
    return checks[corpus](folder, overrides or {})


def audio(path: Path, seconds: float = 0.5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.1 * RNG.standard_normal(round(seconds * RATE))
    soundfile.write(path, wave.astype(np.float32), RATE)
    return path


@pytest.fixture
def iemocap_lists(tmp_path):
    for number in range(1, 6):
        items = [{"path": f"Session{number}/sentences/wav/a.wav", "label": "neu"}]
        path = tmp_path / f"lists/Session{number}/test_meta_data.json"
        write(path, [json.dumps({"meta_data": items})])
    return {"downstream_expert.datarc.meta_data": str(tmp_path / "lists")}


def test_every_corpus_of_the_tasks_has_a_check():
    named = set(re.findall(r"{(\w+)}", (RECIPE / "conf/tasks.yaml").read_text()))
    checks = runpy.run_path(str(RECIPE / "local/corpora.py"))["CORPORA"]
    assert set(checks) == named - {"s3prl", "fold"} == set(CORPORA)


@pytest.mark.parametrize("corpus", sorted(set(CORPORA) - {"iemocap", "voxceleb1"}))
def test_a_corpus_that_is_not_there(corpus, tmp_path):
    with pytest.raises(ValueError, match=r"expected .*, found (none|0)") as caught:
        check(corpus, tmp_path / "nowhere")
    assert re.search("download|get |make |writes", str(caught.value))


def test_librispeech_has_every_utterance_of_its_transcripts(tmp_path):
    folder = tmp_path / "train-clean-100/1/2"
    write(folder / "1-2.trans.txt", ["1-2-0000 GO", "1-2-0001 ON"])
    audio(folder / "1-2-0000.flac")
    with pytest.raises(ValueError, match=r"expected .*1-2-0001.flac, found none\n.*openslr.org/12"):
        check("librispeech", tmp_path)
    audio(folder / "1-2-0001.flac")
    with pytest.raises(ValueError, match="expected 28539 utterances, found 2"):
        check("librispeech", tmp_path)


def test_speech_commands(tmp_path):
    train, test = tmp_path / "train", tmp_path / "test"
    write(train / "validation_list.txt", ["yes/a.wav"])
    write(train / "testing_list.txt", ["no/b.wav"])
    for name in ("_background_noise_/hum.wav", "yes/a.wav", "yes/c.wav"):
        audio(train / name)
    with pytest.raises(ValueError, match=r"expected .*no/b.wav, found none"):
        check("speech_commands", train)
    audio(train / "no/b.wav")
    assert check("speech_commands", train) == {"words": 2, "utterances": 3}
    for number in range(12):
        audio(test / f"class{number}/a.wav")
    assert check("speech_commands_test", test) == {"classes": 12, "utterances": 12}


def test_quesst14(tmp_path):
    scoring = tmp_path / "scoring"
    for name in ("score-TWV-Cnxe.sh", "groundtruth_quesst14_dev/x", "groundtruth_quesst14_eval/x"):
        write(scoring / name, [""])
    for name, folder in (("utterances", "Audio"), ("dev", "dev_queries"), ("eval", "eval_queries")):
        lines = [
            f"quesst14Database/{folder}/a.wav nnenglish",
            f"quesst14Database/{folder}/b.wav czech",
        ]
        write(scoring / f"language_key_{name}.lst", lines)
        with pytest.raises(ValueError, match=rf"expected .*{folder}/a.wav, found none"):
            check("quesst14", tmp_path)
        audio(tmp_path / folder / "a.wav")
    assert check("quesst14", tmp_path) == {"utterances": 1, "dev": 1, "eval": 1}


def test_voxceleb1(tmp_path):
    names = write(tmp_path / "names.txt", ["1 id1/x/1.wav", "3 id2/x/1.wav"])
    trials = write(tmp_path / "trials.txt", ["1 id2/x/1.wav id2/x/2.wav"])
    sid = {"downstream_expert.datarc.meta_data": str(names)}
    asv = {"downstream_expert.datarc.test_meta_data": str(trials)}
    audio(tmp_path / "dev/wav/id1/x/1.wav")
    audio(tmp_path / "test/wav/id3/x/1.wav")
    with pytest.raises(ValueError, match=r"expected .*wav/id2/x/1.wav, found none"):
        check("voxceleb1", tmp_path, sid)
    audio(tmp_path / "test/wav/id2/x/1.wav")
    assert check("voxceleb1", tmp_path, sid) == {"utterances": 2}
    with pytest.raises(ValueError, match=r"expected .*test/wav/id2/x/2.wav, found none"):
        check("voxceleb1", tmp_path, asv)
    audio(tmp_path / "test/wav/id2/x/2.wav")
    counts = check("voxceleb1", tmp_path, asv)
    assert counts == {"training speakers": 1, "trials": 1, "test utterances": 2}


def test_iemocap(tmp_path, iemocap_lists):
    for number in range(1, 5):
        audio(tmp_path / f"Session{number}/sentences/wav/a.wav")
    with pytest.raises(ValueError, match=r"expected .*Session5/.*a.wav, found none"):
        check("iemocap", tmp_path, iemocap_lists)
    audio(tmp_path / "Session5/sentences/wav/a.wav")
    assert sum(check("iemocap", tmp_path, iemocap_lists).values()) == 5


def test_snips(tmp_path):
    write(tmp_path / "all.iob.snips.txt", ["Ivy-1 BOS PLAY EOS\tO O O", "Amy-1 BOS GO EOS\tO O O"])
    write(tmp_path / "slots.txt", ["O", "artist"])
    for name, utterance in (("train", "Ivy-1"), ("valid", "Amy-1"), ("test", "Bob-1")):
        audio(tmp_path / name / f"{utterance}.wav")
    with pytest.raises(ValueError, match="test: expected wav files of labelled utterances"):
        check("snips", tmp_path)
    audio(tmp_path / "test/Amy-1.wav")
    assert check("snips", tmp_path) == {"labelled": 2, "train": 1, "valid": 1, "test": 1}


INTENTS = (("activate", "lamp", "none"), ("deactivate", "lamp", "hall"))


def fluent_tree(folder: Path, number: int = 4) -> Path:
    """Noise in Fluent Speech Commands' own layout."""
    for name in ("train", "valid", "test"):
        rows = []
        for index in range(number):
            path = f"wavs/speakers/{name}{index}/{index}.wav"
            audio(folder / path)
            rows.append([index, path, f"{name}{index}", "words", *INTENTS[index % 2]])
        (folder / "data").mkdir(exist_ok=True)
        with open(folder / f"data/{name}_data.csv", "w", newline="") as file:
            header = ["", "path", "speakerId", "transcription", "action", "object", "location"]
            csv.writer(file).writerows([header, *rows])
    return folder


def pairs_tree(folder: Path) -> Path:
    """Noise of two speakers in turn, in the layout of s3prl's diarization."""
    for name, number in (("train", 4), ("dev", 2), ("test", 2)):
        keys = [f"{name}{index}" for index in range(number)]
        wavs = {key: audio(folder / f"audio/{key}.wav", 4.0) for key in keys}
        turns = [(f"{who}-{key}", key, who, at) for key in keys for who, at in (("x", 0), ("y", 2))]
        write(folder / name / "wav.scp", [f"{key} {path}" for key, path in wavs.items()])
        write(folder / name / "reco2dur", [f"{key} 4.0" for key in keys])
        write(folder / name / "segments", [f"{u} {key} {at} {at + 2}" for u, key, _, at in turns])
        write(folder / name / "utt2spk", [f"{u} {key}{who}" for u, key, who, _ in turns])
        rttm = [f"SPEAKER {k} 1 {at} 2.0 <NA> <NA> {who} <NA> <NA>" for _, k, who, at in turns]
        write(folder / name / "rttm", rttm)
    return folder


def test_fluent_commands(tmp_path):
    fluent_tree(tmp_path)
    assert check("fluent", tmp_path) == {"train": 4, "valid": 4, "test": 4}
    table = tmp_path / "data/test_data.csv"
    table.write_text(table.read_text().replace("hall", "moon"))
    with pytest.raises(ValueError, match="values of location that train has, found moon"):
        check("fluent", tmp_path)


def test_diarization_data(tmp_path):
    pairs_tree(tmp_path)
    assert check("libri2mix", tmp_path) == {"train": 4, "dev": 2, "test": 2}
    with open(tmp_path / "dev/segments", "a") as file:
        file.write("z dev0 0 1\n")
    with pytest.raises(ValueError, match="expected 2 speakers at most .* dev0"):
        check("libri2mix", tmp_path)


def test_lengths_of_librispeech(tmp_path):
    for seconds, name in ((0.25, "a"), (0.75, "b"), (0.5, "c")):
        audio(tmp_path / f"LibriSpeech/dev-clean/1/2/{name}.flac", seconds)
    script = [sys.executable, RECIPE / "local/asr_lengths.py", tmp_path / "LibriSpeech"]
    command = [*script, tmp_path / "len", "--sets", "dev-clean"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    with open(tmp_path / "len/dev-clean.csv", newline="") as file:
        rows = [(row["file_path"], int(row["length"])) for row in csv.DictReader(file)]
    assert rows == [
        (f"dev-clean/1/2/{n}.flac", s) for n, s in (("b", 12000), ("c", 8000), ("a", 4000))
    ]


# Runs

SMALL = (
    "config.runner.total_steps=4",
    "config.runner.eval_step=2",
    "config.runner.save_step=2",
    "config.runner.log_step=2",
)


def run_task(action, name, tmp_path, monkeypatch, *options):
    """One action of a small task in this process, s3prl in others."""
    monkeypatch.setenv("PYTHONPATH", light(tmp_path)["PYTHONPATH"])
    monkeypatch.setenv("HOME", str(tmp_path))
    superb_task.main([
        *(action, name, "--tasks", str(RECIPE / "conf/mini.yaml"), "--device", "cpu"),
        *("--upstream_ckpt", str(WAVLM_MINI), "--output", str(tmp_path / "exp")),
        *(word for override in (*SMALL, *options) for word in ("--override", override)),
        *("--place", f"fluent={tmp_path / 'fluent'}", "--place", f"libri2mix={tmp_path / 'pairs'}"),
    ])  # fmt: skip
    return tmp_path / "exp" / name


def encoder():
    return SSLEncoder.from_pretrained(WAVLM_MINI)


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def test_intents_from_training_to_the_result(tmp_path, monkeypatch):
    pytest.importorskip("s3prl")
    fluent_tree(tmp_path / "fluent")
    folder = run_task("train", "ic", tmp_path, monkeypatch)
    best = folder / "dev-best.ckpt"
    # Noise may leave every dev score at zero, and then there is no best one.
    if not best.exists():
        (folder / "states-4.ckpt").rename(best)
    # A kill while s3prl writes a checkpoint; the next training starts over from what is whole.
    (folder / "states-6.ckpt").write_bytes(best.read_bytes()[:1000])
    run_task("train", "ic", tmp_path, monkeypatch, "config.runner.total_steps=6")
    assert (folder / "states-6.ckpt").stat().st_size > 1000
    run_task("evaluate", "ic", tmp_path, monkeypatch)
    run_task("score", "ic", tmp_path, monkeypatch)
    results = folder / "evaluate/dev-best"
    truth = (results / "test_truth.csv").read_text().splitlines()
    assert truth == [f"{n},{','.join(INTENTS[n % 2])}" for n in range(4)]
    # What s3prl itself prints of the same evaluation.
    printed = re.findall(r"test acc: (\S+)", (results / "evaluate.log").read_text())
    assert result_of(folder)["metrics"] == {"IC": pytest.approx(float(printed[-1]))}
    assert result_of(folder)["params"] == sum(p.numel() for p in encoder().parameters())


@pytest.mark.slow
def test_diarization_from_training_to_the_result(tmp_path, monkeypatch):
    pytest.importorskip("s3prl")
    pytest.importorskip("h5py")
    pairs_tree(tmp_path / "pairs")
    folder = run_task("train", "sd", tmp_path, monkeypatch)
    run_task("evaluate", "sd", tmp_path, monkeypatch)
    log = (folder / "evaluate/best-states-dev/evaluate.log").stat()
    run_task("evaluate", "sd", tmp_path, monkeypatch)  # finished already
    assert (folder / "evaluate/best-states-dev/evaluate.log").stat() == log
    run_task("score", "sd", tmp_path, monkeypatch)
    result = result_of(folder)
    assert min(result["details"]["choices"].values()) == result["metrics"]["DER"]
    assert 0 < result["metrics"]["DER"] < 3 and result["lr"] == MINI["sd"].lr


def test_a_failure_of_s3prl_shows_the_end_of_its_log(tmp_path, monkeypatch):
    pytest.importorskip("s3prl")
    with pytest.raises(SystemExit, match=r"s3prl failed with status 1(.|\n)*train_data.csv"):
        run_task("train", "ic", tmp_path, monkeypatch)


def test_help_and_wrong_options():
    for script in ("run.sh", "run_mini.sh"):
        shown = subprocess.run([RECIPE / script, "--help"], capture_output=True, text=True)
        assert shown.returncode == 0 and "Options (default)" in shown.stdout
        assert re.search(r"^  --tasks \(.*ic sd|er ic", shown.stdout, re.MULTILINE)
    refused = subprocess.run([RECIPE / "run.sh"], capture_output=True, text=True)
    assert refused.returncode == 2 and "--upstream_ckpt is required" in refused.stderr
