"""Promise 5: the target is hit within half a percent, or the run fails loudly."""

import pytest
import torch

from espnet_prune.pruning import (
    Budget,
    BudgetMissed,
    Gates,
    count_params,
    expected_widths,
    masked_widths,
    round_to_budget,
)
from tests.encoders import tiny_config


def big_config():
    """Fine enough for half a percent: a unit is a small share of the whole."""
    layers = tiny_config().layers
    wide = tuple(type(layer)(layer.heads, 60) for layer in layers)
    return tiny_config(layers=wide)


def train(budget, gates, steps, rate=0.2):
    groups = [
        {"params": list(gates.parameters())},
        {"params": list(budget.parameters()), "maximize": True},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=0.0)
    for _ in range(steps):
        sparsity = budget.sparsity(expected_widths(budget.config, gates.open_probabilities()))
        optimizer.zero_grad()
        budget.penalty(sparsity).backward()
        optimizer.step()
        budget.advance()


@pytest.mark.parametrize("measure", ["params", "macs"])
@pytest.mark.parametrize("target", [0.5, 0.7])
def test_the_target_is_hit(measure, target):
    torch.manual_seed(0)
    config = big_config()
    gates = Gates(config)
    budget = Budget(config, target, warmup_steps=100, measure=measure, reference_seconds=0.05)
    train(budget, gates, 600)
    reached = budget.sparsity(masked_widths(config, round_to_budget(gates, budget)))
    assert abs(float(reached) - target) <= 0.005


def test_a_run_that_stops_early_says_so():
    config = big_config()
    gates = Gates(config)
    budget = Budget(config, 0.7, warmup_steps=100)
    train(budget, gates, 5)
    with pytest.raises(BudgetMissed, match="70.0%.*learning rates"):
        round_to_budget(gates, budget)


def test_units_too_coarse_say_so():
    config = tiny_config()
    gates = Gates(config, units=("head",))
    share = count_params(config).total
    with torch.no_grad():
        gates.gates["head_0"].log_alpha[:] = torch.tensor([-9.0, 9.0, 9.0, 9.0])
    reached = float(1 - count_params(config, masked_widths(config, gates.masks())).total / share)
    budget = Budget(config, reached + 0.01, warmup_steps=1)
    with pytest.raises(BudgetMissed, match="too coarse"):
        round_to_budget(gates, budget)


def test_ramp_is_linear_then_flat():
    budget = Budget(big_config(), 0.6, warmup_steps=4)
    targets = []
    for _ in range(6):
        targets.append(float(budget.current_target()))
        budget.advance()
    assert targets == pytest.approx([0.0, 0.15, 0.3, 0.45, 0.6, 0.6])


def test_step_and_multipliers_are_saved():
    budget = Budget(big_config(), 0.6, warmup_steps=4)
    budget.advance()
    assert set(budget.state_dict()) == {"lambda1", "lambda2", "step"}


@pytest.mark.parametrize("target", [0.0, 0.999, 1.2])
def test_impossible_targets_are_refused(target):
    with pytest.raises(ValueError, match="expected a target sparsity between"):
        Budget(big_config(), target, warmup_steps=1)
