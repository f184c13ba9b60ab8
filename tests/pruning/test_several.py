"""Several budgets: each is kept, the tightest is met, and one that is loose asks for nothing."""

import pytest
import torch

from espnet_prune.pruning import Pruner, PruningConfig
from espnet_prune.pruning.budgets import count_costs
from tests.pruning.training import big_encoder, train

SECONDS = 0.05


def excess(pruner, smaller):
    """How far above its target the sparsity of each budget is."""
    costs = count_costs(smaller.config, SECONDS)
    return {
        key: float(limit.sparsity(costs.by(limit.held))) - limit.target
        for key, limit in pruner.limits.items()
    }


@pytest.mark.parametrize("gate", ["hard_concrete", "magnitude"])
@pytest.mark.parametrize(
    "budget, tight",
    [
        ({"macs": 0.7, "params": 0.3}, "macs"),
        ({"macs": 0.2, "params": 0.6}, "params"),
        ({"memory": 0.06, "macs": 0.2, "params": 0.1}, "memory"),
        ({"separate": {"front_end": 0.7, "transformer": 0.1}, "params": 0.2}, None),
    ],
)
def test_all_are_within_and_the_tightest_is_met(gate, budget, tight):
    encoder = big_encoder()
    options = {"budget": budget, "target": None, "gate": gate, "tolerance": 0.01}
    options["reference_seconds"] = SECONDS
    if gate == "magnitude":
        pruner = Pruner(encoder, PruningConfig(warmup_steps=0, **options))
    else:
        pruner = train(encoder, 600, **options)
    found = excess(pruner, pruner.apply_to(encoder))
    assert min(found.values()) >= -0.01
    assert min(found.values()) <= 0.01
    assert tight is None or found[tight] == min(found.values())


def test_each_has_its_own_multiplier_and_a_loose_one_asks_for_nothing():
    encoder = big_encoder()
    loose = {"params": 0.6, "macs": 0.01, "memory": 50.0}
    pruner = train(encoder, 400, budget=loose, target=None)
    alone = train(encoder, 400, budget="params", target=0.6)
    stats = pruner.penalty(encoder).stats
    for name in ("macs", "memory"):
        assert stats[f"lambda1_{name}"] == 0
    assert stats["lambda2_params"] > 0
    assert stats["sparsity"] == stats["sparsity_params"] and stats["target_sparsity"] == 0.6
    ours, theirs = (count_costs(p.apply_to(encoder).config, SECONDS) for p in (pruner, alone))
    assert ours.params.total == pytest.approx(theirs.params.total, rel=0.01)


def test_a_multiplier_never_asks_for_more():
    encoder = big_encoder()
    pruner = train(encoder, 1, budget={"params": 0.5, "macs": 0.4}, target=None)
    budget = pruner.budgets["macs"]
    with torch.no_grad():
        budget.lambda1.fill_(3.0)
    assert budget.penalty(torch.tensor(0.9), tightest=False) == 0 == budget.lambda1
    assert pruner.penalty(encoder).off_target > 0


def test_all_loose_is_refused():
    config = PruningConfig(warmup_steps=1, budget={"memory": 50.0}, reference_seconds=SECONDS)
    with pytest.raises(ValueError, match="expected a target below"):
        Pruner(big_encoder(), config)
