"""Accumulated steps equal steps of a large batch; workers load what the trainer itself would."""

from __future__ import annotations

import pytest
import torch

from espnet_prune.bin import distill_train, powerset_train
from espnet_prune.report.history import read_checkpoint, read_history
from tests.espnet.test_clipping import CLIP
from tests.espnet.test_training import HEAD, assert_same, distillation, powerset, weights

# Not Adam: it would blow up the rounding errors of gradients that are zero.
PLAIN = ["--optim", "sgd", "--optim_conf", "lr=0.1", "--ssl_lr", "0.1"]
NO_DROPOUT = ["--diarization_conf", HEAD.replace("}", ", dropout: 0.0}")]


def test_two_small_batches_equal_a_large_one(tmp_path, options, encoder_folder):
    norms = []
    for name, accumulation in (("small", 2), ("large", 1)):
        batch = {"batch_size": 10 // accumulation, "accum_grad": accumulation, "max_epoch": 3}
        batch["train_dtype"] = "float64"
        command = options(tmp_path / name, **batch) + powerset(encoder_folder)
        powerset_train.main(command + NO_DROPOUT + PLAIN + CLIP)
        checkpoint = read_checkpoint(tmp_path / name / "checkpoint.pth")
        norms.append(checkpoint["optimizers"][0]["gradient_norms"])
    assert len(norms[0]) == 3 and norms[0] == pytest.approx(norms[1], rel=1e-9)
    ours, theirs = weights(tmp_path / "small"), weights(tmp_path / "large")
    for name, tensor in ours.items():
        torch.testing.assert_close(theirs[name], tensor, atol=1e-9, rtol=1e-9, msg=name)


def test_the_target_rises_per_step(tmp_path, options, encoder_folder):
    targets = []
    for name, accumulation in (("small", 2), ("large", 1)):
        task = distillation(encoder_folder, target=0.4, warmup_steps=4)
        batch = {"batch_size": 10 // accumulation, "accum_grad": accumulation, "max_epoch": 5}
        distill_train.main(options(tmp_path / name, labels=False, **batch) + task)
        history = read_history(tmp_path / name / "checkpoint.pth")
        targets.append(history.curve("valid", "target_sparsity")[1])
    assert targets[0] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    assert targets[0] == pytest.approx(targets[1])


def test_workers_change_nothing(tmp_path, options, encoder_folder):
    for workers in (0, 2):
        batch = {"num_workers": workers, "shuffle_within_batch": "true"}
        powerset_train.main(options(tmp_path / str(workers), **batch) + powerset(encoder_folder))
    assert_same(weights(tmp_path / "0"), weights(tmp_path / "2"))
