"""The speech recipes: every YAML is built by its real task, and asr.sh does what it says."""

from __future__ import annotations

import subprocess
import sys

import pytest
import sentencepiece
import torch

from espnet_prune.encoder import PRESETS, SSLEncoder
from espnet_prune.pruning import count_macs

pytest.importorskip("espnet2")

from espnet2.bin import asr_inference, slu_inference
from espnet2.tasks.abs_task import scheduler_classes

from espnet_prune.espnet.pruned_tasks import PrunedASRTask, PrunedSLUTask
from espnet_prune.storage.config_files import read_yaml
from tests.egs2.noise_recipe import EGS2, make_recipe, run_recipe

MODELS = ("dense", "pruned")
RECIPES = ("mini_speech/asr_prune1", "librispeech_100/asr_prune1", "slurp/slu_prune1")
YAMLS = sorted(
    path
    for recipe in (*RECIPES, "speechocean762/asr_prune1")
    for path in (EGS2 / recipe / "conf").rglob("*.yaml")
)
BUDGETS = {"hj_size": "params", "hj_sepsize": "separate", "hj_mac": "macs"}


def name(path):
    return str(path.relative_to(EGS2))


def encoder_of(path):
    if "mini_speech" in path.parts:
        return "whisper_tiny_en"
    return "hubert_large" if "hubert_large" in path.stem else "wav2vec2_base"


@pytest.mark.parametrize("path", YAMLS, ids=name)
def test_it_builds(path, monkeypatch, tmp_path):
    task, inference = PrunedASRTask, asr_inference
    if "slu_prune1" in path.parts:
        task, inference = PrunedSLUTask, slu_inference
    if path.stem == "decode":
        command = ["--config", str(path), "--output_dir", "exp"]
        command += ["--data_path_and_name_and_type", "wav.scp,speech,sound"]
        assert inference.get_parser().parse_args(command).lm_weight == 0
        return
    (tmp_path / "tokens").write_text("<blank>\n<unk>\na\n<sos/eos>\n")
    command = ["--config", str(path), "--output_dir", "exp", "--frontend_conf", "model=s"]
    args = task.get_parser().parse_args([*command, "--token_list", str(tmp_path / "tokens")])

    def from_preset(cls, source):
        with torch.device("meta"):
            return cls(PRESETS[encoder_of(path)]())

    monkeypatch.setattr(SSLEncoder, "from_pretrained", classmethod(from_preset))
    model = task.build_model(args)
    (optimizer,) = task.build_optimizers(args, model)
    rates = [group["lr"] for group in optimizer.param_groups]
    assert all(isinstance(rate, float) and 1e-6 < rate < 1 for rate in rates)
    scheduler_classes[args.scheduler](optimizer, **args.scheduler_conf)
    steps = args.num_iters_per_epoch * args.max_epoch // args.accum_grad
    assert args.scheduler_conf["total_steps"] == steps
    objective = model.frontend.objective
    assert (objective is not None) == (path.parent.name == "tuning")
    statistic = "loss_on_target" if objective else "loss"
    assert args.best_model_criterion == [["valid", statistic, "min"]]
    if objective:
        assert args.pruning_conf["warmup_steps"] < steps / 2
        assert args.pruning_conf["reference_seconds"] == 10.0
        assert args.pruning_conf.get("budget") == BUDGETS.get(path.stem, "params")


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_three_budgets_differ_in_nothing_else(recipe):
    folder = EGS2 / recipe / "conf/tuning"
    values = [read_yaml(folder / f"{stem}.yaml") for stem in BUDGETS]
    for each in values:
        assert each["pruning_conf"].pop("budget") and each["pruning_conf"].pop("target")
    assert values[0] == values[1] == values[2]


def test_published_ratios():
    folder = EGS2 / "librispeech_100/asr_prune1/conf/tuning"
    targets = {
        path.stem.removeprefix("self_pinching_"): read_yaml(path)["pruning_conf"]
        for path in folder.glob("self_pinching_*.yaml")
    }
    assert targets["wav2vec2_base_s65"]["target"] == 0.65
    assert targets["hubert_large_s60"]["target"] == 0.6
    assert 1 / (1 - targets["wav2vec2_base_s765"]["target"]) == pytest.approx(4.26, abs=0.01)
    assert all(conf["units"] == ["weight"] for conf in targets.values())


def asr(tmp_path, *options):
    command = ["./asr.sh", "--ssl_model", "none", "--python", sys.executable]
    command += ["--dumpdir", tmp_path / "dump", "--expdir", tmp_path / "exp", *options]
    return subprocess.run(
        [*map(str, command)], cwd=EGS2 / "mini_speech/asr_prune1", capture_output=True, text=True
    )


@pytest.mark.parametrize("option", ["task", "start", "token_type"])
def test_wrong_choices_are_explained(tmp_path, option):
    result = asr(tmp_path, f"--{option}", "other")
    assert result.returncode == 2 and f"expected --{option} " in result.stderr


@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_token_list(tmp_path, kind):
    folder = tmp_path / "dump/raw/train"
    folder.mkdir(parents=True)
    lines = [f"u{i} heat_up make it {word}" for i, word in enumerate(("warm", "warmer"))]
    (folder / "text").write_text("\n".join(lines) + "\n")
    options = ["--token_type", kind, "--nbpe", "30", "--bpe_nlsyms", "heat_up"]
    result = asr(tmp_path, "--stage", "3", "--stop_stage", "3", *options)
    assert result.returncode == 0, result.stderr
    tokens = tmp_path / "exp/token_list" / kind
    symbols = (tokens / "tokens.txt").read_text().splitlines()
    assert symbols[:2] == ["<blank>", "<unk>"] and symbols[-1] == "<sos/eos>"
    if kind == "char":
        assert {"w", "_", "<space>"} <= set(symbols) and "0" not in symbols
    else:
        model = sentencepiece.SentencePieceProcessor(model_file=str(tokens / "bpe.model"))
        pieces = model.encode("heat_up make it warm", out_type=str)
        assert "heat_up" in pieces and set(pieces) <= set(symbols)


def test_a_dense_model_of_another_experiment_is_taken(tmp_path):
    stages = ["--stage", "3", "--stop_stage", "5", "--dense_expdir", tmp_path / "other"]
    result = asr(tmp_path, *stages)
    assert result.returncode == 0 and result.stdout.count("(done in ") == 3


@pytest.mark.parametrize(
    "stage, options, found",
    [
        ("5", [], "other.pth"),
        ("6", [], "exp/dense/model.pth"),
        ("6", ["--start", "pretrained"], "other.pth"),
    ],
)
def test_the_first_training_starts_from_a_pretrained_model(tmp_path, stage, options, found):
    (tmp_path / "python").write_text(
        f"""#!/bin/sh
        case $1 in utils/*) exec {sys.executable} "$@";; esac
        echo "$@" >> {tmp_path}/words; exit 1
        """
    )
    (tmp_path / "python").chmod(0o755)
    for name in ("exp/dense/encoder", "exp/ssl"):
        (tmp_path / name).mkdir(parents=True)
    options += ["--stage", stage, "--stop_stage", stage, "--python", tmp_path / "python"]
    asr(tmp_path, *options, "--pretrained_model", "other.pth", "--ignore_init_mismatch", "true")
    words = (tmp_path / "words").read_text()
    assert f"--init_param {tmp_path / found if '/' in found else found}" in words
    assert words.count("--init_param") == 1
    assert ("--ignore_init_mismatch true" in words) == (found == "other.pth")


@pytest.mark.slow
def test_all_stages(tmp_path):
    folder = make_recipe(tmp_path / "asr_prune1", "mini_speech/asr_prune1", "asr.sh")
    # The gates of a small random encoder reach a low target in some hundred steps.
    steps = "--num_workers 0 --batch_bins 160000 --max_epoch 1 --num_iters_per_epoch"
    pruning = "--pruning_conf target=0.3 --pruning_conf warmup_steps=60"
    options = ["--ssl_model", "dense", "--test_sets", "dev", "--asr_args", f"{steps} 2"]
    options += ["--pruning_args", f"{pruning} {steps} 400 --distill_conf layers=[0,3]"]
    options += ["--distill", "true", "--inference_nj", "2"]
    options += ["--continued_config", "conf/train_continued.yaml"]
    log = run_recipe(folder, "asr.sh", *options)
    dense, pruned = (SSLEncoder.from_pretrained(folder / f"exp/{m}/encoder") for m in MODELS)
    macs = [count_macs(encoder.config, 10.0).total for encoder in (dense, pruned)]
    assert abs(1 - macs[1] / macs[0] - 0.3) <= 0.005
    report = (folder / "exp/RESULTS.md").read_text()
    for text in (
        *(f" {column} |" for column in ("dense", "dense_continued", "pruned")),
        *("WER (%), dev", "CER (%), dev", "front end"),
    ):
        assert text in report
    for model in MODELS:
        assert len((folder / f"exp/{model}/decoded/dev/text").read_text().splitlines()) == 20
    images = {path.name for path in (folder / "exp/images").iterdir()}
    assert images == {"pruning_curves.png", "kept_structure.png"}
    assert (folder / "exp/pruned.zip").exists() and "Stage 12: pack" in log
    assert run_recipe(folder, "asr.sh", *options).count("(finished already") == 12
    assert (folder / "log").read_text() == "data\n"
