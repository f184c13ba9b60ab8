"""Schedules: a share of the run is so many steps, and older configs mean what they meant."""

import pytest
import torch

from espnet_prune.pruning import Budget, Pruner, PruningConfig
from espnet_prune.pruning.schedules import LEAST_RATE, SCHEDULES
from tests.pruning.training import big_encoder, train


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_rises_to_the_target_and_stays(name):
    budget = Budget(100, 10, 0.6, warmup_steps=8, schedule=name)
    found = []
    for _ in range(12):
        found.append(float(budget.current_target()))
        budget.advance()
    assert found == sorted(found) and found[8:] == pytest.approx([0.6] * 4)
    assert found[0] == pytest.approx(0.6 if name == "one_shot" else 0)
    middle = {"linear": 0.5, "cubic": 0.875, "cosine": 0.5, "one_shot": 1}[name]
    assert found[4] == pytest.approx(0.6 * middle)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_fraction_is_the_same_as_its_steps(schedule):
    share = PruningConfig(0.5, schedule=schedule, warmup=0.25, total_steps=400)
    steps = PruningConfig(0.5, 100, schedule=schedule, total_steps=400)
    names = ("warmup_steps", "gate_lr", "multiplier_lr", "lambda2", "schedule")
    assert share.warmup_steps == 100
    assert all(getattr(share, name) == getattr(steps, name) for name in names)


def test_without_a_schedule_steps_mean_what_they_meant():
    for total in (None, 340):
        config = PruningConfig(0.5, 100, total_steps=total)
        assert (config.gate_lr, config.multiplier_lr, config.lambda2) == (0.02, 0.02, 0.0)
        assert (config.schedule, config.warmup_steps) == (None, 100)


def test_what_is_given_stays_and_long_runs_have_the_published_rates():
    config = PruningConfig(0.5, total_steps=340, gate_lr=0.3)
    assert (config.gate_lr, config.warmup_steps) == (0.3, 153)
    assert config.multiplier_lr == pytest.approx(0.1, rel=0.05)
    assert PruningConfig(0.5, total_steps=340).gate_lr == pytest.approx(0.2, rel=0.05)
    long = PruningConfig(0.5, total_steps=50_000)
    assert long.gate_lr == long.multiplier_lr == LEAST_RATE
    pinched = PruningConfig(0.5, total_steps=600, gate="self_pinching")
    assert pinched.gate_lr == pytest.approx(0.05)


def test_unknown_steps_are_refused():
    with pytest.raises(ValueError, match="expected warmup_steps or total_steps.*found neither"):
        Pruner(big_encoder(), PruningConfig(0.5))


OWN = dict.fromkeys(("warmup_steps", "gate_lr", "multiplier_lr"))


@pytest.mark.parametrize("steps", [100, 300, 1000])
@pytest.mark.parametrize("schedule", ["cubic", "cosine"])
@pytest.mark.parametrize("gate, units", [("hard_concrete", None), ("self_pinching", ("row",))])
def test_a_run_of_any_length_is_on_target(steps, schedule, gate, units):
    encoder = big_encoder()
    target = 0.6 if gate == "hard_concrete" else 0.15
    options = {"gate": gate, "units": units, "target": target}
    pruner = train(encoder, steps, schedule=schedule, total_steps=steps, **OWN, **options)
    smaller = pruner.apply_to(encoder)
    dense, kept = (sum(p.numel() for p in e.parameters()) for e in (encoder, smaller))
    assert abs(1 - kept / dense - target) <= 0.005
    assert torch.isfinite(pruner.penalty(encoder).loss)
