"""Thin maps: the same outputs at full rank, the best of a rank, on every budget, trained gates."""

import pytest
import torch

from espnet_prune.encoder import ConfigError, TransformerLayerConfig
from espnet_prune.encoder.config import MAPS
from espnet_prune.pruning import (
    HardConcreteGates,
    Pruner,
    PruningConfig,
    count_macs,
    count_params,
    factored,
    prepared,
)
from espnet_prune.pruning.factors import open_what_saves_nothing
from tests.encoders import KINDS, random_encoder, thin_config, tiny_config
from tests.pruning.training import big_encoder, train

SECONDS = 0.05
LAYERS = (TransformerLayerConfig((0, 1, 2, 3), 60),) * 3


def cut(encoder, **values):
    config = PruningConfig(
        **{"warmup_steps": 0, "gate": "magnitude", "reference_seconds": SECONDS, **values}
    )
    start = prepared(encoder, config)
    return Pruner(start, config).apply_to(start)


@pytest.mark.parametrize("family, size", KINDS)
@pytest.mark.parametrize("make", [tiny_config, thin_config])
@torch.no_grad()
def test_full_ranks_change_no_output(family, size, make):
    encoder = random_encoder(make(family, size))
    thin = factored(encoder)
    wavs, lengths = torch.randn(2, 900), torch.tensor([900, 600])
    pairs = zip(encoder(wavs, lengths).hidden_states, thin(wavs, lengths).hidden_states,
                strict=True)  # fmt: skip
    for dense, factors in pairs:
        torch.testing.assert_close(factors, dense, atol=1e-4, rtol=1e-4)
    assert all(all(layer.map_ranks) for layer in thin.config.layers)


def test_thin_maps_that_save_nothing_count_as_one():
    encoder = random_encoder(tiny_config())
    assert count_params(factored(encoder).config) == count_params(encoder.config)


@pytest.mark.parametrize("family", ["wavlm", "whisper"])
@pytest.mark.parametrize("budget, target", [("params", 0.3), ("macs", 0.2)])
def test_on_budget_by_the_best_approximation_of_each_rank(family, budget, target):
    encoder = random_encoder(tiny_config(family, layers=LAYERS))
    small = cut(encoder, target=target, units=("rank",), budget=budget, tolerance=0.01)
    count = {"params": count_params, "macs": lambda c: count_macs(c, SECONDS)}[budget]
    assert abs(1 - count(small.config).total / count(encoder.config).total - target) < 0.01
    assert count_params(small.config).total == sum(p.numel() for p in small.parameters())
    kept = 0
    for index, layer in enumerate(small.config.layers):
        for name, rank in zip(MAPS, layer.map_ranks, strict=True):
            dense, thin = (each.get_submodule(f"layers.{index}.{name}").whole()
                           for each in (encoder, small))  # fmt: skip
            error = (dense - thin).square().sum()
            lost = torch.linalg.svdvals(dense)[rank or min(dense.shape) :].square().sum()
            torch.testing.assert_close(error, lost, atol=1e-3, rtol=1e-3)
            kept += rank > 0
    assert kept


@pytest.mark.parametrize("family", ["wavlm", "whisper"])
def test_trained_gates_on_ranks_are_on_budget(family):
    encoder = factored(random_encoder(tiny_config(family, layers=LAYERS)))
    pruner = train(encoder, 300, target=0.3, units=("rank",), tolerance=0.02, lambda2=50.0)
    small = pruner.apply_to(encoder)
    share = count_params(small.config).total / count_params(encoder.config).total
    assert abs(share - 0.7) < 0.02
    assert count_params(small.config).total == sum(p.numel() for p in small.parameters())


def test_units_and_ranks_close_together():
    small = cut(big_encoder(), target=0.4, units=("conv", "ffn", "rank"), tolerance=0.02)
    assert any(layer.ranks for layer in small.config.layers)
    assert any(layer.ffn_kept for layer in small.config.layers)


def test_directions_that_cost_nothing_are_kept():
    config = thin_config()
    full = tuple(torch.ones(sum(layer.map_ranks)) for layer in config.layers)
    few = [mask.clone() for mask in full]
    few[0][0] = 0  # 12 of the 13 of a map of 16 to 48 are as many weights as the matrix
    few[0][13] = 0  # of 16 to 16, 4 are fewer
    gates = HardConcreteGates(config, ("rank",))
    gates.gates["rank_1"].log_alpha.data[14] += 1
    ranking, masks = gates.ranking(), gates.masks()._replace(rank=tuple(few))
    few[1][9:18] = 0  # all of one
    opened = open_what_saves_nothing(config, masks, ranking).rank
    assert opened[0][0] == 1 and opened[0][13] == 0
    assert opened[1][9:18].tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("budget", [{"latency": 1.0}, {"macs": 0.5, "latency": 1.0}])
def test_a_budget_that_counts_no_thin_maps_is_refused(budget):
    with pytest.raises(ConfigError, match="expected a budget on anything but latency for rank"):
        PruningConfig(
            budget=budget,
            budget_conf={"latency": {"table": "t.json"}},
            warmup_steps=0,
            units=("rank",),
        )
