"""Rates follow their closed form, per group, over resumed and accumulated steps."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("espnet2")

from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler, AbsEpochStepScheduler
from espnet2.tasks.abs_task import scheduler_classes

from espnet_prune.bin import distill_train
from espnet_prune.encoder import ConfigError
from espnet_prune.espnet.optimizers import WarmupLinearDecayLR, at_own_rate
from espnet_prune.report.history import read_checkpoint
from tests.espnet.test_training import distillation


def optimizer_of(rates):
    """One parameter per rate; all but the first are gates, of which the last ascends."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    groups[-1]["maximize"] = True
    return torch.optim.AdamW([groups[0], *at_own_rate(groups[1:])])


def rates_over(steps, optimizer, schedule):
    """The rates of ``steps`` steps, one list each."""
    taken = []
    for _ in range(steps):
        taken.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return taken


def share(step, warmup, total):
    """The closed form, of a step counted from 1."""
    if step <= warmup:
        return step / warmup
    return max(0.0, (total - step) / (total - warmup))


@pytest.mark.parametrize("scale_gates", [False, True])
def test_closed_form(scale_gates):
    rates = [2e-4, 2e-2, 1e-2]
    optimizer = optimizer_of(rates)
    schedule = WarmupLinearDecayLR(optimizer, 4, 12, scale_gates)
    for step, taken in enumerate(rates_over(15, optimizer, schedule), start=1):
        scaled = [share(step, 4, 12)] + [share(step, 4, 12) if scale_gates else 1.0] * 2
        assert taken == pytest.approx([r * s for r, s in zip(rates, scaled, strict=True)])
    assert optimizer.param_groups[0]["lr"] == 0


def test_resumed_schedule_continues():
    rates = [1e-3, 2e-2, 2e-2]
    whole = optimizer_of(rates)
    expected = rates_over(12, whole, WarmupLinearDecayLR(whole, 4, 12))
    first = optimizer_of(rates)
    schedule = WarmupLinearDecayLR(first, 4, 12)
    rates_over(5, first, schedule)
    second = optimizer_of(rates)
    resumed = WarmupLinearDecayLR(second, 4, 12)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    assert rates_over(7, second, resumed) == expected[5:]


def test_espnet_steps_it_per_batch_alone():
    schedule = scheduler_classes["warmuplineardecaylr"](optimizer_of([1.0]), 1, 2)
    assert isinstance(schedule, AbsBatchStepScheduler)
    assert not isinstance(schedule, AbsEpochStepScheduler)


@pytest.mark.parametrize("warmup, total", [(0, 10), (10, 10), (11, 10)])
def test_impossible_lengths_are_refused(warmup, total):
    with pytest.raises(ConfigError, match="expected warmup_steps above 0"):
        WarmupLinearDecayLR(optimizer_of([1.0]), warmup, total)


def test_a_step_is_one_of_the_optimizer(tmp_path, options, encoder_folder):
    """Three batches, two of them in a step and one left over: one step an epoch."""
    task = distillation(encoder_folder, target=0.3, warmup_steps=4, gate_lr=0.05)
    task += ["--optim_conf", "lr=0.001", "--scheduler", "warmuplineardecaylr"]
    task += ["--scheduler_conf", "{warmup_steps: 2, total_steps: 10}", "--accum_grad", "2"]
    distill_train.main(options(tmp_path, labels=False, batch_size=3, max_epoch=3) + task)
    state = read_checkpoint(tmp_path / "checkpoint.pth")
    rates = [group["lr"] for group in state["optimizers"][0]["param_groups"]]
    assert rates == pytest.approx([0.001 * share(4, 2, 10), 0.05, 0.02])
