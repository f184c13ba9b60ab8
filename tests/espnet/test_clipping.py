"""Clipping to a percentile of the last norms: by hand, and under everything that a trainer does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from espnet_prune.bin import powerset_train
from espnet_prune.encoder import ConfigError
from espnet_prune.espnet.optimizers import PercentileClipping
from espnet_prune.report.history import read_checkpoint
from tests.espnet.test_training import assert_same, powerset, weights

NORMS = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
CLIP = ["--grad_clip", "inf", "--grad_clip_percentile", "50", "--grad_clip_history", "3"]


def clipped(percentile=90.0, history=3, extra=()):
    weight = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.SGD([{"params": [weight]}, *extra], lr=1.0)
    return weight, optimizer, PercentileClipping(optimizer, percentile, history)


def step(weight, optimizer, norm):
    """Step along a gradient of ``norm`` and return the length of the step."""
    before = weight.detach().clone()
    weight.grad = norm * torch.tensor([0.0, 0.6, -0.8, 0.0])
    optimizer.step()
    return float((weight.detach() - before).norm())


def test_steps_by_hand():
    weight, optimizer, _ = clipped()
    for index, norm in enumerate(NORMS):
        recent = NORMS[max(0, index - 2) : index + 1]
        expected = min(norm, np.percentile(recent, 90))
        assert step(weight, optimizer, norm) == pytest.approx(expected, rel=1e-5)


def test_a_norm_that_is_not_finite_is_left_out():
    weight, optimizer, clipping = clipped()
    step(weight, optimizer, 2.0)
    for broken in (float("nan"), float("inf")):
        assert step(weight, optimizer, broken) == 0.0
    assert list(clipping.norms) == pytest.approx([2.0])
    assert torch.isfinite(weight).all()


def test_multipliers_are_neither_measured_nor_clipped():
    multiplier = torch.zeros(1, requires_grad=True)
    weight, optimizer, clipping = clipped(
        percentile=1.0, extra=[{"params": [multiplier], "maximize": True}]
    )
    for norm in (1.0, 5.0):
        multiplier.grad = torch.full((1,), 1000.0)
        step(weight, optimizer, norm)
    assert list(clipping.norms) == pytest.approx([1.0, 5.0])
    assert multiplier.item() == 2000.0


def test_loaded_state_continues(tmp_path):
    whole_weight, whole, _ = clipped()
    cut_weight, cut, _ = clipped()
    for norm in NORMS[:4]:
        step(whole_weight, whole, norm)
        step(cut_weight, cut, norm)
    torch.save(cut.state_dict(), tmp_path / "state.pth")
    resumed_weight, resumed, clipping = clipped()
    resumed.load_state_dict(torch.load(tmp_path / "state.pth", weights_only=True))
    assert list(clipping.norms) == pytest.approx(NORMS[1:4])
    for norm in NORMS[4:]:
        expected = step(whole_weight, whole, norm)
        assert step(resumed_weight, resumed, norm) == pytest.approx(expected, rel=1e-5)


def test_norms_are_unscaled_under_mixed_precision():
    weight, optimizer, clipping = clipped()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for value in (2.0, float("nan"), 3.0):
        scaler.scale(weight[0] * value).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    assert list(clipping.norms) == [2.0, 3.0]


@pytest.mark.parametrize("percentile, history", [(0, 10), (101, 10), (90, 0)])
def test_wrong_values_are_refused(percentile, history):
    with pytest.raises(ConfigError, match="grad_clip_percentile above 0"):
        clipped(percentile, history)


def test_only_one_of_both_clips(tmp_path, options, encoder_folder):
    command = options(tmp_path) + powerset(encoder_folder) + ["--grad_clip_percentile", "90"]
    with pytest.raises(SystemExit, match=r"expected grad_clip \.inf .* found 5\.0"):
        powerset_train.main(command)


def test_norms_are_in_the_checkpoint_alone(tmp_path, options, encoder_folder):
    command = options(tmp_path / "clipped", batch_size=5) + powerset(encoder_folder)
    powerset_train.main(command + CLIP)
    powerset_train.main(options(tmp_path / "free", batch_size=5) + powerset(encoder_folder))
    checkpoint = read_checkpoint(tmp_path / "clipped/checkpoint.pth")
    assert len(checkpoint["optimizers"][0]["gradient_norms"]) == 3  # of four steps
    ours, theirs = weights(tmp_path / "clipped"), weights(tmp_path / "free")
    assert ours.keys() == theirs.keys()
    with pytest.raises(AssertionError):
        assert_same(ours, theirs)
