"""PruningConfig: what does not go together is refused, with what to choose instead."""

import pytest

from espnet_prune.pruning import PruningConfig
from espnet_prune.ssl import ConfigError

MACS = {"budget": "macs", "gate": "self_pinching"}


@pytest.mark.parametrize(
    "values, message",
    [
        ({"gate": "soft"}, "gate: expected .*self_pinching.*found .soft"),
        ({"budget": "size"}, "budget: expected .*separate.*found .size"),
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
        ({"taget": 0.5}, "unknown key taget .did you mean .target"),
    ],
)
def test_contradictions(values, message):
    with pytest.raises(ConfigError, match=message):
        PruningConfig.from_dict({"target": 0.5, "warmup_steps": 1, **values})


def test_defaults_of_each_gate():
    assert PruningConfig(0.5, 1).units == ("conv", "head", "ffn")
    assert PruningConfig(0.5, 1, gate="self_pinching").units == ("weight",)
    assert PruningConfig.from_dict({"target": 0.5, "warmup_steps": 1, "units": ["head"]}).units == (
        "head",
    )
