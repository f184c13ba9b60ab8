"""What was done to a model stays with it: trained, pruned, cut, tuned, converted, exported."""

from __future__ import annotations

import json

import pytest
import torch

from espnet_prune.bin import apply_pruning, convert, distill_train, explain, powerset_train
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import SSLEncoder
from espnet_prune.espnet.distillation_task import DistillationTask
from espnet_prune.export import export_torch
from tests.espnet.test_training import distillation, powerset

MADE = {"espnet_prune", "torch", "espnet", "date"}


@pytest.fixture
def on_target(monkeypatch):
    """A training of one epoch, of small weights, is on its target at once."""
    from espnet_prune.pruning import pruner

    monkeypatch.setattr(pruner, "check_converged", lambda *_: None)


def cut(folder, output, weights="latest.pth"):
    apply_pruning.main([str(folder / weights), "--output", str(output)])
    return output


def test_it_survives_everything(tmp_path, options, encoder_folder, on_target, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    convert.main([str(encoder_folder), "exp/dense"])
    pruning = distillation("exp/dense", target=0.3, warmup_steps=1)
    command = options("exp/prune", labels=False, max_epoch=1)
    distill_train.main([*command, *pruning])
    cut(tmp_path / "exp/prune", "exp/small")
    powerset_train.main([*options("exp/tune", max_epoch=1), *powerset("exp/small")])
    cut(tmp_path / "exp/tune", "exp/diarizer")
    convert.main(["exp/diarizer", "exp/encoder"])

    history = SSLEncoder.from_pretrained("exp/encoder").history
    assert [step["step"] for step in history] == [
        "converted", "pruned", "applied", "trained", "converted"
    ]  # fmt: skip
    assert all(step.keys() >= MADE for step in history)
    first, pruned, applied, trained, last = history
    assert (pruned["source"], pruned["teacher"]) == ("exp/dense", "exp/dense")
    assert (pruned["task"], pruned["seed"], pruned["weights"]) == ("Distillation", 1, "latest.pth")
    assert applied["target"] == 0.3 and applied["reached"] == pytest.approx(0.3, abs=0.005)
    assert (trained["source"], trained["task"]) == ("exp/small", "PowersetDiarization")
    assert last["source"] == "exp/diarizer"
    # Absolute paths of this machine are left out.
    assert first["source"] == encoder_folder.name and str(tmp_path) not in json.dumps(history)
    assert not any(name.startswith("/") for step in history for name in step.get("data", ()))

    for folder in ("exp/diarizer", "exp/diarizer/encoder"):
        assert SSLEncoder.from_pretrained(folder).history == history[:4]
    DiarizationModel.from_pretrained("exp/diarizer").save_pretrained("exp/again")
    model = DiarizationModel.from_pretrained("exp/again")
    assert model.encoder.history == history[:4]
    export_torch(model.encoder, "exp/model.pt2", "last_hidden_state")
    files = {"metadata.json": ""}
    torch.export.load("exp/model.pt2", extra_files=files)
    assert json.loads(json.loads(files["metadata.json"])["history"]) == [*map(dict, history[:4])]

    capsys.readouterr()
    explain.main(["exp/encoder"])
    shown = capsys.readouterr().out
    assert "2. pruned for Distillation, from exp/dense, taught by exp/dense" in shown
    assert "target 30.00 %, reached" in shown and f"/ {applied['ffn'][0]}" in shown


def test_distilling_further_is_a_step_too(tmp_path, options, encoder_folder):
    from espnet_prune.espnet.training_step import remember_training

    args = DistillationTask.get_parser().parse_args(
        options(tmp_path, labels=False) + distillation(encoder_folder)
    )
    model = DistillationTask.build_model(args)
    model.student.history = ({"step": "applied"},)
    remember_training(model, DistillationTask, vars(args), "1epoch.pth")
    applied, distilled = model.student.history
    assert (applied["step"], distilled["step"], distilled["epochs"]) == ("applied", "distilled", 2)
    assert "recipe" not in distilled
