"""Statistics come out of ESPnet's checkpoint as its reporter averaged them."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import torch

from espnet_prune.report.history import History, read_history
from espnet_prune.report.inputs import Inputs
from espnet_prune.storage import CheckpointError
from tests.report.recipe import EPOCH_SECONDS


def test_curves_are_those_of_the_reporter(inputs: Inputs) -> None:
    history = read_history(inputs.prune)
    epochs, target = history.curve("train", "target_sparsity")
    assert epochs == list(range(1, 9))
    assert target == pytest.approx([0.16, 0.32, 0.48, 0.64, 0.8, 0.8, 0.8, 0.8])
    _, train = history.curve("train", "loss_distill")
    _, valid = history.curve("valid", "loss_distill")
    assert valid == pytest.approx([value + 0.05 for value in train])
    assert history.seconds == pytest.approx(8 * 2 * EPOCH_SECONDS)


def test_averages_of_numpy_are_read(inputs: Inputs) -> None:
    _, seconds = read_history(inputs.prune).curve("train", "forward_time")
    assert seconds == pytest.approx([0.01] * 8)


def test_epochs_without_a_finite_value_are_left_out() -> None:
    epochs = {1: {"valid": {"der": math.nan}}, 2: {"train": {}}, 3: {"valid": {"der": 0.2}}}
    assert History(Path("x"), epochs).curve("valid", "der") == ([3], [0.2])


def test_statistic_that_was_never_reported(inputs: Inputs) -> None:
    assert inputs.distill is not None
    with pytest.raises(CheckpointError, match=r"distill_train.*lambda1 of valid.*loss_distill"):
        read_history(inputs.distill).curve("valid", "lambda1")


def test_foreign_and_truncated_files(inputs: Inputs, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(inputs.prune.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="truncated"):
        read_history(path)
    parts = ("model", "optimizers", "schedulers", "reporter")
    for foreign in ({"weight": torch.ones(1)}, {part: {} for part in parts}):
        torch.save(foreign, path)
        with pytest.raises(CheckpointError, match="foreign"):
            read_history(path)


class Harmful:
    """Runs a command when unpickled without care."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    path, mark = tmp_path / "checkpoint.pth", tmp_path / "harmed"
    torch.save({"reporter": {"stats": Harmful(mark)}}, path)
    with pytest.raises(CheckpointError):
        read_history(path)
    assert not mark.exists()
