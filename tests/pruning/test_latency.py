"""Latency: a table is exact where it was measured, and a budget like any other in between."""

import json
from dataclasses import replace

import pytest
import torch

from espnet_prune.encoder import ConfigError, open_masks
from espnet_prune.pruning import Pruner, PruningConfig, apply, expected_widths, masked_widths
from espnet_prune.pruning.budgets.latency import Block, Latency, LatencyTable
from espnet_prune.pruning.cost import built_widths
from espnet_prune.pruning.exits import first_layers
from tests.encoders import random_encoder, random_masks, tiny_config
from tests.pruning.tables import SECONDS, table_of
from tests.pruning.training import big_encoder, train


@pytest.fixture
def path(tmp_path):
    def write(config, **changes):
        file = tmp_path / "table.json"
        file.write_text(table_of(config, **changes).json())
        return str(file)

    return write


def test_it_is_exact_where_it_was_measured_and_linear_between():
    block = Block((1.0, 8.0, 32.0), ((0.5, 0.6, 0.9), (1.0, 1.5, 4.0)), (2.0, 10.0))
    for inputs, row in zip(block.inputs, block.ms, strict=True):
        for width, ms in zip(block.widths, row, strict=True):
            assert block.at(int(width), int(inputs)) == ms
            assert float(block.at(torch.tensor(width), torch.tensor(inputs))) == pytest.approx(ms)
    assert block.at(20, 6) == pytest.approx((0.75 + 2.75) / 2)
    width = torch.tensor(20.0, requires_grad=True)
    block.at(width, 10).backward()
    assert float(width.grad) == pytest.approx(3 / 31)  # over a step to either side


def test_a_table_of_a_file_is_the_same(path):
    config = tiny_config()
    assert LatencyTable.read(path(config)) == table_of(config)


@pytest.mark.parametrize("seed", range(3))
def test_masked_latency_is_that_of_the_applied_model(path, seed):
    config = tiny_config()
    held = Latency(path(config))
    masks = random_masks(config, seed)
    smaller, _ = apply(config, random_encoder(config).state_dict(), masks)
    masked = held.count(config, SECONDS, masked_widths(config, masks))
    assert float(masked.total) == pytest.approx(held.count(smaller, SECONDS).total, rel=1e-9)


def test_it_is_differentiable_in_every_width(path):
    config = tiny_config()
    chances = open_masks(config).map(lambda mask: torch.full_like(mask, 0.6).requires_grad_())
    Latency(path(config)).count(config, SECONDS, expected_widths(config, chances)).total.backward()
    for kind in ("conv", "head", "ffn"):
        assert all((mask.grad > 0).all() for mask in getattr(chances, kind))


@pytest.mark.parametrize("gate", ["hard_concrete", "magnitude"])
def test_milliseconds_are_reached(path, gate):
    encoder = big_encoder()
    options = {"budget": "latency", "budget_conf": {"latency": {"table": path(encoder.config)}}}
    held = Latency(**options["budget_conf"]["latency"])
    target = 0.6 * held.count(encoder.config, SECONDS).total
    options |= {"target": target, "gate": gate, "reference_seconds": SECONDS, "tolerance": 0.01}
    if gate == "magnitude":
        pruner = Pruner(encoder, PruningConfig(warmup_steps=0, **options))
    else:
        pruner = train(encoder, 600, lambda2=100.0, **options)
    small = pruner.apply_to(encoder).config
    assert held.count(small, SECONDS).total == pytest.approx(target, rel=0.02)
    # The widths that this processor likes: no block of FFN units is half full.
    assert all(layer.ffn % 16 == 0 or layer.ffn == 60 for layer in small.layers)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"machine": "elsewhere"}, "expected a table of this machine .*found one of elsewhere"),
        ({"seconds": 3.0}, "expected reference_seconds 3, the input of .*, found 0.05"),
        ({"shape": {"family": "wavlm"}}, "expected an encoder as in the table"),
        ({"threads": "many"}, "threads: expected a whole number"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(path, changes, message):
    config = tiny_config()
    file = path(replace(config), **changes)
    with pytest.raises(ConfigError, match=message) as refused:
        Latency(file).count(config, SECONDS)
    assert len(str(refused.value).splitlines()) == 1


def test_another_machine_is_taken_if_asked(path):
    config = tiny_config()
    held = Latency(path(config, machine="elsewhere"), other_machine=True)
    assert held.count(config, SECONDS, built_widths(config)).total > 0


def test_no_table_is_refused(tmp_path):
    (tmp_path / "table.json").write_text(json.dumps({"machine": 3}))
    for file in ("table.json", "missing.json"):
        with pytest.raises(ConfigError, match=file):
            LatencyTable.read(tmp_path / file)


def test_a_table_serves_the_first_layers_and_no_more(path):
    encoder = random_encoder(tiny_config())
    held = {"latency": {"table": path(encoder.config)}}
    two = Latency(**held["latency"]).count(first_layers(encoder.config, 2), SECONDS).total
    config = PruningConfig(two + 1e-3, 0, gate="exit", budget="latency", budget_conf=held,
                           reference_seconds=SECONDS)  # fmt: skip
    assert len(Pruner(encoder, config).apply_to(encoder).config.layers) == 2
    deeper = replace(encoder.config, layers=encoder.config.layers * 2)
    with pytest.raises(ConfigError, match="expected an encoder as in the table"):
        Latency(**held["latency"]).count(deeper, SECONDS)
