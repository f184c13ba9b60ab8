"""Every YAML of the recipes is read by its real parser, and what it configures is built."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from egs2.mini_meeting.diar_prune1.local.simulation import read_turn_taking
from espnet_prune.diarization.inference_config import InferenceConfig
from espnet_prune.encoder import PRESETS, SSLEncoder

pytest.importorskip("espnet2")

from espnet2.tasks.abs_task import scheduler_classes

from espnet_prune.espnet.distillation_task import DistillationTask
from espnet_prune.espnet.embedding_task import EmbeddingTask
from espnet_prune.espnet.powerset_task import PowersetDiarizationTask
from espnet_prune.storage.config_files import read_yaml

EGS2 = Path(__file__).parents[2] / "egs2"
PAPER = EGS2 / "ami_aishell4_alimeeting/diar_prune1/conf"
# Whatever its name; a link is tested as what it points to, and nothing that a recipe has made.
# Those of ESPnet's own tasks are built in test_asr_recipes.py, s3prl's read in test_superb.py.
ELSEWHERE = {"asr_prune1", "slu_prune1", "superb"}
YAMLS = sorted(
    path
    for path in {path.resolve() for path in EGS2.rglob("*") if path.suffix in (".yaml", ".yml")}
    if "conf" in path.parts and not ELSEWHERE & set(path.relative_to(EGS2).parts)
)

# The key that only one task has, its required options, and what its models report.
ERRORS = {"loss", "der", "miss", "false_alarm", "confusion"}
DISTILLATION = {"loss", "loss_distill", "l1", "cosine"}
TASKS = {
    "distill_conf": (DistillationTask, ["--student", "s", "--teacher", "t"], DISTILLATION),
    "diarization_conf": (PowersetDiarizationTask, ["--frontend_conf", "model=s"], ERRORS),
}


def name(path: Path) -> str:
    return str(path.relative_to(EGS2))


def encoder_of(path: Path) -> str:
    """The encoder that a recipe or its file is for."""
    if {"mini_meeting", "mini_speech"} & set(path.parts):
        return "whisper_tiny_en"
    return "wavlm_large" if "large" in path.stem else "wavlm_base_plus"


def test_there_are_yamls():
    assert {"decode.yaml", "train.yaml", "prune.yaml"} <= {path.name for path in PAPER.glob("*")}
    assert (PAPER / "prune.yaml").resolve() in YAMLS


@pytest.mark.parametrize("path", YAMLS, ids=name)
def test_it_builds(path, monkeypatch):
    values = read_yaml(path)
    if path.stem.startswith("decode"):
        assert InferenceConfig(**values)
        return
    if path.stem == "turn_taking":
        assert read_turn_taking(path)
        return
    if "speaker_weight" in values:
        words = ["--config", str(path), "--output_dir", "exp", "--model", "s", "--speakers", "t"]
        EmbeddingTask.get_parser().parse_args(words)
        return
    kinds = [kind for key, kind in TASKS.items() if key in values]
    assert len(kinds) == 1, f"{path}: expected a key of {list(TASKS)} or a name decode*"
    task, required, statistics = kinds[0]
    args = task.get_parser().parse_args(["--config", str(path), "--output_dir", "exp", *required])

    def without_memory(cls, source):
        with torch.device("meta"):
            return cls(PRESETS[encoder_of(path)]())

    monkeypatch.setattr(SSLEncoder, "from_pretrained", classmethod(without_memory))
    model = task.build_model(args)
    (optimizer,) = task.build_optimizers(args, model)
    for group in optimizer.param_groups:
        assert isinstance(group["lr"], float) and 1e-6 < group["lr"] < 1
    if args.scheduler:
        scheduler_classes[args.scheduler](optimizer, **args.scheduler_conf)
    if task is DistillationTask:
        # The last layer is always distilled, and there is none beyond.
        assert max(args.distill_conf["layers"]) == len(model.student.config.layers)
    if args.pruning_conf:
        statistics = statistics | {"loss_on_target", "sparsity"}
    # ESPnet says nothing about a statistic that nobody reports; then there is no best model.
    criteria = [*args.best_model_criterion, args.early_stopping_criterion]
    for split, statistic, mode in criteria:
        assert split in ("train", "valid") and mode in ("min", "max") and statistic in statistics


BASE_PLUS = "tuning/prune_wavlm_base_plus_s80.yaml"


@pytest.mark.parametrize(
    "changed, base, keys",
    [
        ("train_pruned.yaml", "train.yaml", {"max_epoch", "patience"}),
        ("tuning/train_amp.yaml", "train.yaml", {"use_amp"}),
        ("tuning/train_16s.yaml", "train.yaml", {"batch_size"}),
        ("tuning/train_continued.yaml", "train_pruned.yaml", {"init_param"}),
        ("tuning/prune_teacher_bfloat16.yaml", BASE_PLUS, {"teacher_precision"}),
        ("tuning/prune_wavlm_base_plus_s90.yaml", BASE_PLUS, {"pruning_conf"}),
        ("tuning/prune_wavlm_large_s80.yaml", BASE_PLUS, {"distill_conf"}),
        ("tuning/prune_wavlm_large_s90.yaml", BASE_PLUS, {"pruning_conf", "distill_conf"}),
        ("tuning/distill_wavlm_large.yaml", "distill.yaml", {"distill_conf"}),
        ("tuning/decode_16s.yaml", "decode.yaml", {"step"}),
    ],
)
def test_a_variant_changes_only_what_it_is_for(changed, base, keys):
    ours, theirs = (read_yaml(PAPER / path) for path in (changed, base))
    different = {key for key in ours | theirs if ours.get(key) != theirs.get(key)}
    assert different == keys
    if "pruning_conf" in keys:
        assert ours["pruning_conf"] == {**theirs["pruning_conf"], "target": 0.9}


def test_published_values():
    """Those of the reference that a later edit must not lose."""
    train, prune, distill, decode = (
        read_yaml(PAPER / f"{stem}.yaml") for stem in ("train", "prune", "distill", "decode")
    )
    for values in (train, prune, distill):
        assert (values["batch_size"], values["grad_clip_percentile"]) == (64, 90)
        assert values["grad_clip_history"] == 1000 and values["keep_nbest_models"] == 5
        assert values["optim"] == "adamw" and "scheduler" not in values
        assert not values.get("use_amp") and "teacher_precision" not in values
    assert (train["ssl_lr"], train["optim_conf"]["lr"], train["patience"]) == (2e-5, 1e-3, 10)
    assert train["diarization_conf"]["head"]["norm"] == "batch"
    assert prune["optim_conf"]["lr"] == distill["optim_conf"]["lr"] == 2e-4
    gates = prune["pruning_conf"]
    assert (gates["target"], gates["gate_lr"], gates["multiplier_lr"]) == (0.8, 2e-2, 2e-2)
    assert gates["drop_rates"] == {"conv": 0.01, "head": 0.01, "ffn": 0.5}
    assert decode["step"] == 0.8 and decode["median"] == 11
