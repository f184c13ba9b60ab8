"""ESPnet's trainer with this project's tasks: resumed equals uninterrupted, target reported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from espnet_prune.bin import apply_pruning, distill_train, powerset_train
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import SSLEncoder
from espnet_prune.encoder.config import ConfigError
from espnet_prune.espnet.powerset_task import PowersetDiarizationTask
from espnet_prune.espnet.trainer import ResumableTrainer
from espnet_prune.formats.espnet import load_trained
from espnet_prune.pruning import count_macs, count_params
from espnet_prune.report.history import read_history
from espnet_prune.storage import CheckpointError
from tests.espnet.conftest import EACH_FAMILY

HEAD = "head={hidden: 8, num_layers: 1, num_heads: 2, ffn: 8, kernel: 3}"


def powerset(encoder_folder):
    return [
        *("--frontend_conf", f"model={encoder_folder}"),
        *("--diarization_conf", HEAD),
        *("--diarization_conf", "max_speakers=2"),
        *("--diarization_conf", "window_size=2.0"),
    ]


def distillation(encoder_folder, **pruning):
    command = ["--student", str(encoder_folder), "--teacher", str(encoder_folder)]
    command += ["--distill_conf", "layers=[0, 3]"]
    for key, value in pruning.items():
        command += ["--pruning_conf", f"{key}={value}"]
    return command


def weights(folder, name="latest.pth"):
    return torch.load(folder / name, weights_only=True)


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(theirs[name], tensor, rtol=0, atol=0, msg=name)


class Killed(BaseException):
    pass


# Three batches of ten windows in steps of two batches: one is left over in every epoch.
CLIPPED = ["--grad_clip", "inf", "--grad_clip_percentile", "50"]
CLIPPED += ["--accum_grad", "2", "--batch_size", "3"]


@pytest.mark.parametrize(
    "family, extra",
    [("whisper", ["--use_amp", "true"]), ("wavlm", CLIPPED)],
    indirect=["family"],
    ids=["in mixed precision", "clipped and accumulated"],
)
@pytest.mark.parametrize("moment", ["in an epoch", "after the checkpoint"])
def test_resumed_equals_uninterrupted(
    tmp_path, options, encoder_folder, monkeypatch, moment, extra
):
    task = distillation(encoder_folder, target=0.5, warmup_steps=4, gate_lr=0.1) + extra
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    distill_train.main(options(whole, labels=False, max_epoch=3) + task)

    train, save, calls = ResumableTrainer.train_one_epoch.__func__, torch.save, []

    def die_in_epoch(cls, **kwargs):
        if kwargs["reporter"].epoch == 2:
            raise Killed
        return train(cls, **kwargs)

    def die_after_checkpoint(obj, f, *args, **kwargs):
        calls.append(f)
        if len(calls) == 4:  # checkpoint, epoch, checkpoint, and the second epoch's own file
            raise Killed
        save(obj, f, *args, **kwargs)

    if moment == "in an epoch":
        monkeypatch.setattr(ResumableTrainer, "train_one_epoch", classmethod(die_in_epoch))
    else:
        monkeypatch.setattr(torch, "save", die_after_checkpoint)
    with pytest.raises(Killed):
        distill_train.main(options(cut, labels=False, max_epoch=3) + task)
    monkeypatch.undo()
    distill_train.main(options(cut, labels=False, max_epoch=3) + task)
    for name in ("latest.pth", "valid.loss.best.pth", "valid.loss.ave.pth"):
        assert_same(weights(whole, name), weights(cut, name))


@pytest.mark.parametrize("instructions", [True, False])
def test_mixed_precision_on_a_cpu(tmp_path, options, encoder_folder, monkeypatch, instructions):
    monkeypatch.setattr("espnet_prune.inference.form.has_instructions", lambda _: instructions)
    losses = {}
    for name in ("false", "true"):
        command = options(tmp_path / name, max_epoch=1) + powerset(encoder_folder)
        powerset_train.main([*command, "--use_amp", name])
        assert all(w.dtype == torch.float32 for w in weights(tmp_path / name).values())
        losses[name] = read_history(tmp_path / name / "checkpoint.pth").curve("valid", "loss")[1]
    assert (losses["true"] == losses["false"]) is not instructions
    assert losses["true"] == pytest.approx(losses["false"], rel=0.02)


def test_kill_9_and_again(tmp_path, options, encoder_folder):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    powerset_train.main(options(whole, max_epoch=4) + powerset(encoder_folder))
    command = [sys.executable, "-m", "espnet_prune.bin.powerset_train"]
    command += options(cut, max_epoch=4) + powerset(encoder_folder)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (cut / "1epoch.pth").exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    powerset_train.main(options(cut, max_epoch=4) + powerset(encoder_folder))
    assert_same(weights(whole), weights(cut))


def test_batches_without_a_length_train(tmp_path, options, encoder_folder):
    """ESPnet's iterator of chunks has none; longer than all audio, they leave it whole."""
    chunks = ["--iterator_type", "chunk", "--chunk_length", "64000"]
    chunks += ["--chunk_discard_short_samples", "false"]
    task = distillation(encoder_folder) + chunks
    distill_train.main(options(tmp_path, labels=False, max_epoch=1) + task)
    assert (tmp_path / "1epoch.pth").exists()


@EACH_FAMILY
def test_dense_training_exports_a_diarizer(tmp_path, options, encoder_folder, capsys):
    powerset_train.main(options(tmp_path / "train") + powerset(encoder_folder))
    apply_pruning.main([str(tmp_path / "train/valid.loss.ave.pth"), "--output", f"{tmp_path}/m"])
    model = DiarizationModel.from_pretrained(tmp_path / "m")
    trained = weights(tmp_path / "train", "valid.loss.ave.pth")
    assert_same({k.removeprefix("model."): v for k, v in trained.items()}, model.state_dict())
    encoder = SSLEncoder.from_pretrained(tmp_path / "m/encoder")
    assert_same(model.encoder.state_dict(), encoder.state_dict())


def test_pruning_reports_every_epoch_and_applies(tmp_path, options, encoder_folder, capsys):
    rates = {"gate_lr": 0.2, "multiplier_lr": 0.1, "lambda2": 300.0}
    task = distillation(encoder_folder, target=0.3, warmup_steps=60, **rates)
    task += ["--best_model_criterion", "valid,loss_on_target,min"]
    more = {"max_epoch": 120, "keep_nbest_models": 5}
    distill_train.main(options(tmp_path / "train", labels=False, **more) + task)
    statistics = read_history(tmp_path / "train/checkpoint.pth").epochs
    assert set(statistics) == set(range(1, 121))
    for name in ("sparsity", "target_sparsity", "lambda1", "expected_params", "expected_macs"):
        assert all(name in epoch["train"] for epoch in statistics.values())
    valid = {epoch: each["valid"] for epoch, each in statistics.items()}
    best = sorted(valid, key=lambda epoch: valid[epoch]["loss_on_target"])[:5]
    assert all(abs(valid[epoch]["sparsity"] - 0.3) <= 0.02 for epoch in best)
    dense = SSLEncoder.from_pretrained(encoder_folder).config
    for name in ("latest.pth", "valid.loss_on_target.ave_5best.pth"):
        apply_pruning.main([str(tmp_path / "train" / name), "--output", str(tmp_path / "small")])
        small = SSLEncoder.from_pretrained(tmp_path / "small")
        sparsity = 1 - sum(p.numel() for p in small.parameters()) / count_params(dense).total
        assert abs(sparsity - 0.3) <= 0.005
    assert not any("teacher" in name for name in weights(tmp_path / "train"))


def test_diarization_prunes_by_its_own_loss_under_a_budget_of_macs(
    tmp_path, options, encoder_folder
):
    rates = {"gate_lr": 0.2, "multiplier_lr": 0.1, "lambda2": 300.0, "reference_seconds": 1.0}
    pruning = {"target": 0.3, "budget": "macs", "warmup_steps": 40, **rates}
    task = powerset(encoder_folder)
    task += [
        word for key, value in pruning.items() for word in ("--pruning_conf", f"{key}={value}")
    ]
    powerset_train.main(options(tmp_path / "train", max_epoch=60) + task)
    assert "frontend" not in " ".join(weights(tmp_path / "train"))
    apply_pruning.main([f"{tmp_path}/train/latest.pth", "--output", f"{tmp_path}/small"])
    diarizer = DiarizationModel.from_pretrained(tmp_path / "small")
    dense = SSLEncoder.from_pretrained(encoder_folder).config
    saved = 1 - count_macs(diarizer.encoder.config).total / count_macs(dense).total
    assert abs(saved - 0.3) <= 0.005
    gated = load_trained(PowersetDiarizationTask, tmp_path / "train/latest.pth")
    wavs = torch.randn(1, 32000)
    with torch.no_grad():
        ours, theirs = diarizer(wavs)[0], gated.model(wavs)[0]
    # Rounding to the budget may open or close a unit or two.
    assert (ours - theirs).abs().mean() < 0.1 * theirs.std()


@pytest.mark.parametrize("statistic, waits", [("loss_distill", False), ("loss_on_target", True)])
def test_patience_waits_for_the_target(tmp_path, options, encoder_folder, statistic, waits):
    task = distillation(encoder_folder, target=0.3, warmup_steps=20, gate_lr=0.2, lambda2=300.0)
    task += ["--early_stopping_criterion", "valid", statistic, "min", "--patience", "1"]
    distill_train.main(options(tmp_path, labels=False, max_epoch=15) + task)
    epochs = len(read_history(tmp_path / "checkpoint.pth").epochs)
    assert (epochs >= 10) == waits  # epochs of two steps


def test_a_missed_target_is_an_error(tmp_path, options, encoder_folder):
    task = distillation(encoder_folder, target=0.5, warmup_steps=10)
    distill_train.main(options(tmp_path / "train", labels=False, max_epoch=1) + task)
    with pytest.raises(SystemExit, match="expected sparsity 50.0%"):
        apply_pruning.main([f"{tmp_path}/train/latest.pth", "--output", f"{tmp_path}/small"])
    assert not (tmp_path / "small").exists()


def test_multipliers_ascend_and_the_teacher_stays(tmp_path, options, encoder_folder):
    task = distillation(encoder_folder, target=0.5, warmup_steps=1, gate_lr=0.01)
    distill_train.main(options(tmp_path, labels=False) + task)
    state = weights(tmp_path)
    assert state["objective.pruner.budgets.total.lambda2"] > 0  # its gradient is never negative
    assert state["objective.pruner.budgets.total.lambda1"] < 0
    assert int(state["objective.pruner.budgets.total.step"]) == 4


@pytest.mark.parametrize(
    "extra, message",
    [
        (["--pruning_conf", "sparsity=0.5"], "sparsity"),
        (["--distill_conf", "layers=[9]"], "expected layers up to 3"),
        (["--student", "nowhere"], "nowhere: expected .*, a folder"),
    ],
)
def test_wrong_settings_are_explained(tmp_path, options, encoder_folder, extra, message):
    task = distillation(encoder_folder, target=0.5, warmup_steps=1)
    with pytest.raises(SystemExit, match=message):
        distill_train.main(options(tmp_path, labels=False) + task + extra)


def test_unknown_yaml_key_is_named(tmp_path, options, encoder_folder, capsys):
    (tmp_path / "train.yaml").write_text("max_epok: 3\n")
    with pytest.raises(SystemExit):
        command = options(tmp_path) + powerset(encoder_folder)
        powerset_train.main([*command, "--config", str(tmp_path / "train.yaml")])
    assert "max_epok" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["truncated", "foreign", "missing"])
def test_damaged_checkpoint_is_refused(tmp_path, options, encoder_folder, damage):
    powerset_train.main(options(tmp_path, max_epoch=1) + powerset(encoder_folder))
    path = (tmp_path / "latest.pth").resolve()
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "foreign":
        torch.save({"weight": torch.zeros(1)}, path)
    else:
        path.unlink()
    with pytest.raises(SystemExit, match=r"expected|fit"):
        apply_pruning.main([str(tmp_path / "latest.pth"), "--output", str(tmp_path / "model")])
    assert not (tmp_path / "model").exists()


def test_error_types_are_value_errors():
    assert issubclass(CheckpointError, ValueError) and issubclass(ConfigError, ValueError)


def test_espnets_chunks_can_be_trained_on(tmp_path, options, encoder_folder):
    chunks = {"iterator_type": "chunk", "chunk_length": 16000, "max_epoch": 1}
    distill_train.main(options(tmp_path, labels=False, **chunks) + distillation(encoder_folder))
    assert read_history(tmp_path / "checkpoint.pth").epochs[1]["train"]["loss"] > -1
