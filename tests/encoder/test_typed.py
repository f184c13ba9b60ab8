"""What users write is read by the annotations of a dataclass, or every problem is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from espnet_prune.encoder.typed import (
    ConfigError,
    check_name,
    read_typed,
    settle_types,
    shown,
    similar,
)


@dataclass(frozen=True)
class Inner:
    size: int
    rate: float = 0.5

    def __post_init__(self) -> None:
        settle_types(self)
        if self.size < 1:
            raise ConfigError(f"expected a size of 1 or more, found {self.size}")


@dataclass(frozen=True)
class Outer:
    name: str
    kind: Literal["a", "b"] = "a"
    flag: bool = False
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    target: float | Mapping[str, float] = 0.0
    anything: Any = None


@pytest.mark.parametrize(
    "values",
    [
        {"name": "x"},
        {"name": "x", "inner": {"size": 3}},
        {"name": "x", "inner": {"size": "3", "rate": "1e-3"}, "many": [{"size": 1}, {"size": 2.0}]},
        {"name": "x", "rates": {"p": 1, "q": "2.5"}, "target": {"p": "1e-1"}, "anything": [None]},
    ],
)
def test_values_of_the_right_type(values: dict[str, Any]) -> None:
    found = read_typed(Outer, values)
    assert found.name == "x"
    for inner in (found.inner, *found.many):
        assert inner is None or (type(inner.size), type(inner.rate)) == (int, float)
    assert all(type(rate) is float for rate in found.rates.values())


def test_conversions() -> None:
    found = read_typed(
        Outer, {"name": "x", "target": "0.25", "many": [{"size": "7"}], "rates": {"p": 1}}
    )
    assert (found.target, found.many, found.rates) == (0.25, (Inner(7),), {"p": 1.0})


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("name", 3, "name: expected a text, found 3"),
        ("kind", "c", "kind: expected 'a' or 'b', found 'c'"),
        ("flag", 1, "flag: expected true or false, found 1"),
        ("flag", "yes", "flag: expected true or false, found 'yes'"),
        ("inner", 3, "inner: expected inner: expected values by name, found 3 or nothing"),
        ("many", "ab", "many: expected a list, found 'ab'"),
        (
            "many",
            [{"size": 1}, {"size": 1.5}],
            r"many\[1\].size: expected a whole number, found 1.5",
        ),
        ("many", [{"size": 0}], r"many\[0\]: expected a size of 1 or more, found 0"),
        ("many", [{}], r"many\[0\].size: expected a value, found none"),
        ("rates", {"p": float("nan")}, "rates.p: expected a number, found nan"),
        ("rates", {"p": True}, "rates.p: expected a number, found True"),
        ("rates", {"p": 10**400}, "rates.p: expected a number, found 1000"),
        ("rates", {"p": "1" * 400}, "rates.p: expected a number, found '111"),
        ("rates", [1], r"rates: expected values by name, found \[1\]"),
        ("target", "half", "target: expected a number or values by name, found 'half'"),
        ("target", float("inf"), "target: expected a number or values by name, found inf"),
        ("nmae", "x", "unknown key nmae .did you mean 'name'"),
        (3, "x", "unknown key 3 .known: anything, flag"),
    ],
)
def test_every_problem_is_named(key: Any, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^conf.yaml: {message}"):
        read_typed(Outer, {"name": "x", key: value}, "conf.yaml")


def test_all_problems_in_one_message() -> None:
    with pytest.raises(ConfigError) as refusal:
        read_typed(Outer, {"kind": 1, "flag": 2, "mnay": 3})
    for word in ("kind", "flag", "mnay", "name: expected a value"):
        assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("values", [None, 3, "text", [], [("name", "x")]])
def test_only_mappings_hold_values(values: object) -> None:
    with pytest.raises(ConfigError, match="expected values by name, found"):
        read_typed(Outer, values)


def test_messages_stay_short() -> None:
    many = {f"key{i}": "x" * 1000 for i in range(1000)}
    for values in ({"name": many}, {"name": "x", **many}, {"name": ["x" * 10**6] * 10**3}):
        with pytest.raises(ConfigError) as refusal:
            read_typed(Outer, values)
        assert len(str(refusal.value)) < 3000
    assert len(shown("x" * 10**6)) < 100 and len(shown(list(range(10**6)))) < 100


def test_instances_are_held_to_their_annotations() -> None:
    assert type(Inner("3").size) is int
    with pytest.raises(ConfigError, match="size: expected a whole number, found '3.5'"):
        Inner("3.5")


@pytest.mark.parametrize("name", ["c", None, 3, ["a"], {}, float("nan")])
def test_names(name: object) -> None:
    check_name("a kind", "a", ("a", "b"))
    with pytest.raises(ConfigError, match="expected a kind of a, b, found"):
        check_name("a kind", name, ("a", "b"))
    assert similar("colour", ["color", "size"]) == "did you mean 'color'?"
    assert similar("x", ["b", "a"]) == "known: a, b"
