"""PruningConfig: what does not go together is refused, with what to choose instead."""

from dataclasses import fields
from pathlib import Path

import pytest
import torch

from espnet_prune.encoder import ConfigError, open_masks
from espnet_prune.pruning import (
    BudgetMissed,
    HardConcreteGates,
    PinchedUnits,
    PinchedWeights,
    Pruner,
    PruningConfig,
    apply,
)
from espnet_prune.pruning.config import GATES
from espnet_prune.pruning.rounding import check_converged, round_to_budgets
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.config_files import read_yaml
from tests.encoders import random_encoder, tiny_config

CASES = Path(__file__).parents[1] / "data" / "cases"

MACS = {"budget": "macs", "gate": "self_pinching"}
LIMITS = PruningConfig(0.5, 1).limits(tiny_config())
TWO = {"macs": 0.5, "memory": 3.0}


@pytest.mark.parametrize(
    "values, message",
    [
        ({"gate": "soft"}, "expected a gate of .*self_pinching.*found .soft"),
        ({"budget": "size"}, "expected a budget of .*separate.*found .size"),
        ({"units": ["weight"]}, "expected units of hard_concrete of conv, .*found .weight"),
        (
            {"gate": "self_pinching", "units": ["conv"]},
            "expected units of self_pinching of weight, channel, .*found .conv",
        ),
        ({"gate": "self_pinching", "units": ["weight", "head"]}, "only unit"),
        ({"gate": "self_pinching", "units": ["row", "column"]}, "row or column"),
        (MACS, "only unit, under a budget on parameters"),
        ({"budget": "separate"}, "a target for each of .*front_end"),
        ({"target": {"front_end": 0.5, "transformer": 0.5}}, "one target for params"),
        ({"budget": {}}, "expected a budget of params, .*, found ''"),
        ({"budget": TWO}, "expected targets in budget .* alone, found target 0.5"),
        ({"budget": {"macs": 0.5, "watts": 3}, "target": None}, "a budget of .* found 'watts'"),
        ({"budget": {"macs": 1.5}, "target": None}, "total between 0 and 1, found 1.5"),
        ({"budget": "memory", "target": -1}, r"target of total above 0 \(MB\), found -1"),
        ({"budget": "memory", "target": {"weights": 1}}, "one target or a target for each of"),
        ({"budget_conf": {"memory": {}}}, "expected budget_conf of params, found 'memory'"),
        (
            {"budget": "memory", "budget_conf": {"memory": {"precision": "int4"}}},
            "budget_conf memory: expected a precision of float32, .*, found 'int4'",
        ),
        ({"schedule": "sudden"}, "expected a schedule of linear, cubic, .*, found 'sudden'"),
        ({"taget": 0.5}, "unknown key taget .did you mean .target"),
    ],
)
def test_contradictions(values, message):
    with pytest.raises(ConfigError, match=message):
        PruningConfig.from_dict({"target": 0.5, "warmup_steps": 1, **values})


def test_units_of_two_kinds_of_gates_under_one_name(monkeypatch):
    monkeypatch.setitem(GATES, "both", (PinchedUnits, HardConcreteGates))
    with pytest.raises(ConfigError, match="units that close together of channel, .*found 'ffn'"):
        PruningConfig(0.5, 1, gate="both", units=("row", "ffn"))


def test_defaults_of_each_gate():
    assert PruningConfig(0.5, 1).units == ("conv", "head", "ffn")
    assert PruningConfig(0.5, 1, units=()).units == ("conv", "head", "ffn")
    assert PruningConfig(0.5, 1, gate="self_pinching").units == ("weight",)
    assert PruningConfig.from_dict({"target": 0.5, "warmup_steps": 1, "units": ["head"]}).units == (
        "head",
    )


@pytest.mark.parametrize("key", [field.name for field in fields(PruningConfig)])
@pytest.mark.parametrize(
    "value",
    ["x", -1, float("nan"), float("inf"), [[]], {"a": {}}, 10**400],
    ids=lambda v: repr(v)[:9],
)
def test_every_value_is_checked(key, value):
    given = {"target": 0.5, "warmup_steps": 1, key: value}
    with pytest.raises(ConfigError) as refusal:
        PruningConfig.from_dict(given)
    assert key in str(refusal.value) and len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"target": 0},
        {"target": 1},
        {"target": 1.5},
        {"budget": "separate", "target": {"front_end": 0.5, "transformer": -0.1}},
        {"warmup_steps": 2.5},
        {"temperature": 0},
        {"reference_seconds": 0},
        {"gate_lr": 0},
        {"drop_rates": {"ffn": 1}},
        {"drop_rates": {"weight": 0.5}},
    ],
)
def test_ranges(values):
    with pytest.raises(ConfigError, match=list(values)[-1]):
        PruningConfig.from_dict({"target": 0.5, "warmup_steps": 1, **values})


def test_files_of_users():
    pytest.importorskip("yaml")
    found = PruningConfig.from_dict(read_yaml(CASES / "exponent.yaml")["pruning_conf"])
    assert (found.gate_lr, found.warmup_steps) == (1e-3, 100)
    with pytest.raises(ConfigError) as refusal:
        PruningConfig.from_dict(read_yaml(CASES / "wrong_types.yaml")["pruning_conf"])
    for problem in ("units: expected a list", "target: expected a number", "found 2.5"):
        assert problem in str(refusal.value)


def test_what_nobody_counts_is_refused_wherever_it_is_looked_up():
    encoder = random_encoder(tiny_config())
    for name, value in {"budget": "watts", "gate": "watts"}.items():
        config = PruningConfig(0.3, 1, reference_seconds=0.05)
        object.__setattr__(config, name, value)
        with pytest.raises(ConfigError, match="expected .*, found 'watts'"):
            Pruner(encoder, config)
    for gates in (HardConcreteGates(encoder.config, seconds=0.05), PinchedWeights(encoder)):
        with pytest.raises(ConfigError, match="a part of the cost of total, .*, found 'watts'"):
            gates.costs(encoder).params.part("watts")
    for make in (HardConcreteGates, PinchedUnits):
        with pytest.raises(ConfigError, match="expected units .*, found 'watts'"):
            make(encoder.config if make is HardConcreteGates else encoder, ("watts",))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_gates_and_masks_that_are_not_finite(value):
    encoder = random_encoder(tiny_config())
    masks = open_masks(encoder.config)
    masks.ffn[1][3] = value
    with pytest.raises(CheckpointError, match="masks: expected finite .* in 'ffn.1'"):
        apply(encoder.config, encoder.state_dict(), masks)
    for gate in ("hard_concrete", "self_pinching"):
        pruner = Pruner(encoder, PruningConfig(0.3, 1, gate=gate, reference_seconds=0.05))
        name, parameter = next(iter(pruner.gates.named_parameters()))
        with torch.no_grad():
            parameter.flatten()[0] = value
        with pytest.raises(CheckpointError, match=f"the gates: .* in 'gates.{name}'"):
            pruner.apply_to(encoder)


@pytest.mark.parametrize("found", [float("nan"), float("inf"), -float("inf")])
def test_a_sparsity_that_is_no_number_is_missed(found):
    masks = open_masks(tiny_config())
    with pytest.raises(BudgetMissed):
        check_converged(LIMITS["total"], found)
    with pytest.raises(BudgetMissed):
        round_to_budgets(masks, masks, masks, lambda _: {"total": found}, LIMITS, 0.1)
