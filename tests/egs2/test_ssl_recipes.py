"""The distillation recipes: published values stay, schedules end with their training."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("espnet2")

from espnet_prune.encoder import SSLEncoder
from espnet_prune.storage.config_files import read_yaml
from tests.egs2.noise_recipe import EGS2, make_recipe, run_recipe

PAPER = EGS2 / "librispeech/ssl_prune1/conf"
MINI = EGS2 / "mini_speech/ssl_prune1/conf"
YAMLS = sorted({p.resolve() for folder in (PAPER, MINI) for p in folder.rglob("*.yaml")})


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: str(path.relative_to(EGS2)))
def test_schedules_end_with_the_training(path):
    values = read_yaml(path)
    steps = values["num_iters_per_epoch"] * values["max_epoch"] // values.get("accum_grad", 1)
    assert values["scheduler_conf"]["total_steps"] == steps
    if "pruning_conf" in values:
        assert values["pruning_conf"].get("warmup_steps", 0) < steps
    groups = values["distill_conf"]["projection_groups"]
    assert [layer for group in groups for layer in group] == values["distill_conf"][
        "layers"
    ] and groups[0] == [0]
    assert values["crop"] is True and values["batch_type"] == "numel"


def test_published_values():
    """Those of the reference that a later edit must not lose."""
    prune, distill = read_yaml(PAPER / "prune.yaml"), read_yaml(PAPER / "distill.yaml")
    schedule = {"warmup_steps": 15000, "total_steps": 50000, "scale_gates": True}
    assert prune["scheduler_conf"] == schedule
    assert distill["scheduler_conf"] == {"warmup_steps": 5000, "total_steps": 25000}
    assert prune["optim_conf"] == {"lr": 2e-4, "weight_decay": 0.0}
    assert distill["optim_conf"] == {"lr": 1e-4, "weight_decay": 0.0}
    for values in (prune, distill):
        assert values["distill_conf"] == {
            "layers": [0, 4, 8, 12],
            "projection_groups": [[0], [4, 8, 12]],
        }
        assert (values["optim"], values["grad_clip"], values["use_amp"]) == ("adamw", 10.0, True)
        assert values["batch_bins"] == 4 * 160 * 16000 and "accum_grad" not in values
    assert prune["pruning_conf"] == {
        "target": 0.75,
        "warmup_steps": 5000,
        "units": ["conv", "head", "ffn"],
        "drop_rates": {"conv": 0.01, "head": 0.01, "ffn": 0.5},
        "gate_lr": 2e-2,
        "multiplier_lr": 2e-2,
    }
    script = (EGS2 / "librispeech/ssl_prune1/run.sh").read_text()
    template = (EGS2 / "TEMPLATE/ssl_prune1/ssl.sh").read_text()
    assert "--seed 2022" in script and "--ngpu 4" in script
    assert "min_seconds=2.0 " in template and "max_seconds=15.6 " in template
    assert "pruning_model=latest.pth" in template and "distill_model=latest.pth" in template


BATCH = {"batch_bins", "accum_grad", "num_iters_per_epoch"}


@pytest.mark.parametrize(
    "changed, base, keys",
    [
        ("tuning/prune_large.yaml", "prune.yaml", {"distill_conf", *BATCH}),
        ("tuning/distill_large.yaml", "distill.yaml", {"distill_conf", *BATCH}),
        ("tuning/prune_base_gate_rates.yaml", "prune.yaml", {"scheduler_conf"}),
        ("distill_student.yaml", "distill.yaml", {"optim_conf", "scheduler_conf", "max_epoch"}),
    ],
)
def test_a_variant_changes_only_what_it_is_for(changed, base, keys):
    ours, theirs = read_yaml(PAPER / changed), read_yaml(PAPER / base)
    assert {key for key in ours | theirs if ours.get(key) != theirs.get(key)} == keys
    batches = [v["batch_bins"] * v.get("accum_grad", 1) for v in (ours, theirs)]
    assert batches[0] == batches[1]


@pytest.mark.parametrize("conf", [PAPER, MINI], ids=["paper", "mini"])
def test_rival_students_train_as_long_as_both_stages(conf):
    steps = [
        read_yaml(conf / f"{name}.yaml")["scheduler_conf"]["total_steps"]
        for name in ("distill_student", "prune", "distill")
    ]
    assert steps[0] == steps[1] + steps[2]


# The gates of a small random encoder reach a low target in some hundred steps.
SMALL = "--distill_conf layers=[0,3] --distill_conf projection_groups=[[0],[3]] --max_epoch 1 "
SMALL += "--num_workers 0 --batch_bins 160000 --num_iters_per_epoch "
PRUNING = "--pruning_conf target=0.3 --pruning_conf warmup_steps=60 "


@pytest.fixture
def folder(tmp_path):
    return make_recipe(tmp_path / "ssl_prune1", "mini_speech/ssl_prune1", "ssl.sh")


def run(folder: Path, *options: str) -> str:
    return run_recipe(folder, "ssl.sh", *options)


@pytest.mark.slow
def test_all_stages(folder):
    options = ["--ssl_model", "dense", "--min_seconds", "0.5"]
    options += ["--pruning_args", f"{PRUNING} {SMALL} 400", "--distill_args", f"{SMALL} 2"]
    options += ["--students", "random uniform", "--student_args", f"{SMALL} 2"]
    log = run(folder, *options)
    encoders = {
        name: SSLEncoder.from_pretrained(folder / f"exp/{name}")
        for name in ("ssl", "pruned_encoder", "random_encoder", "uniform_encoder")
    }
    sizes = {k: sum(p.numel() for p in e.parameters()) for k, e in encoders.items()}
    assert abs(1 - sizes["pruned_encoder"] / sizes["ssl"] - 0.3) <= 0.005
    assert sizes["random_encoder"] == sizes["pruned_encoder"]
    report = (folder / "exp/RESULTS.md").read_text()
    for text in ("| dense ", "| pruned ", "| random ", "| uniform ", "speaker (%)", "4 classes"):
        assert text in report
    assert (folder / "exp/pruned_encoder.zip").exists() and "Stage 10: pack" in log
    assert run(folder, *options).count("(finished already") == 10
    assert (folder / "log").read_text() == "data\n"


def test_lists_of_audio_files(folder):
    for name in ("train", "dev"):
        wavs = sorted((folder / "data" / name).glob("*.wav"))
        (folder / f"{name}.list").write_text("".join(f"{wav}\n" for wav in wavs))
    options = ["--ssl_model", "none", "--stop_stage", "2", "--min_seconds", "1.61"]
    run(folder, *options, "--train_list", "train.list", "--valid_list", "dev.list")
    rows = (folder / "dump/raw/train/utt2num_samples").read_text().splitlines()
    # Utterances of speaker a, the shortest, are left out; nothing was prepared.
    assert sorted(int(row.split()[1]) for row in rows) == sorted(
        16000 + 100 * ord(speaker) for speaker in "bcd" for _ in range(5)
    )
    assert not (folder / "log").exists()
