"""Exits: the states of the whole encoder, the deepest on budget, exact once applied."""

import pytest
import torch

from espnet_prune.encoder import SSLEncoder
from espnet_prune.pruning import Pruner, PruningConfig, count_params
from espnet_prune.pruning.budgets import count_costs
from espnet_prune.pruning.exits import first_layers
from tests.encoders import KINDS, random_encoder, tiny_config

SECONDS = 0.05


def pruner_of(encoder, **values):
    config = {"warmup_steps": 0, "gate": "exit", "reference_seconds": SECONDS, **values}
    return Pruner(encoder, PruningConfig(**config))


@pytest.mark.parametrize("family, size", KINDS)
@pytest.mark.parametrize("target", [0.1, 0.25])
@torch.no_grad()
def test_masked_equals_applied_equals_the_whole_encoders_states(family, size, target):
    encoder = random_encoder(tiny_config(family, size))
    pruner = pruner_of(encoder, target=target)
    small = pruner.apply_to(encoder)
    wavs, lengths = torch.randn(2, 900), torch.tensor([900, 600])
    whole = encoder(wavs, lengths).hidden_states
    masked, applied = pruner(encoder, wavs, lengths), small(wavs, lengths)
    assert len(masked.hidden_states) == len(small.config.layers) + 1 < len(whole)
    first = whole[: len(masked.hidden_states)]
    for ours, theirs, all_ in zip(masked.hidden_states, applied.hidden_states, first, strict=True):
        assert torch.equal(ours, theirs) and torch.equal(ours, all_)
    assert count_params(small.config).total == sum(p.numel() for p in small.parameters())
    assert small.history[-1]["closed"] == ["layer"]


@pytest.mark.parametrize("budget", ["params", "macs", {"params": 0.1, "macs": 0.2}])
def test_the_deepest_that_every_budget_allows(budget):
    encoder = random_encoder(tiny_config())
    target = None if isinstance(budget, dict) else 0.2
    pruner = pruner_of(encoder, budget=budget, target=target)
    depth = len(pruner.apply_to(encoder).config.layers)

    def meets(layers):
        costs = count_costs(first_layers(encoder.config, layers), SECONDS)
        return all(limit.sparsity(costs.by(limit.held)) >= limit.target
                   for limit in pruner.limits.values())  # fmt: skip

    assert meets(depth) and not meets(depth + 1)


def test_out_of_reach_is_refused():
    with pytest.raises(ValueError, match="expected a target sparsity between 0 and"):
        pruner_of(random_encoder(tiny_config()), target=0.9)


def test_the_budget_of_a_training_counts_the_exit(tmp_path):
    encoder = random_encoder(tiny_config())
    pruner = pruner_of(encoder, target=0.2)
    stats = pruner.penalty(encoder).stats
    small = pruner.at(encoder, {"target": 0.1}).apply_to(encoder)
    assert stats["sparsity"] >= 0.2 and len(small.config.layers) == 2
    small.save_pretrained(tmp_path)
    assert SSLEncoder.from_pretrained(tmp_path).config == small.config
