"""Samples take turns, slow calls get fewer of them, and other processes are noticed."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks import timing
from benchmarks.timing import Sample, alternate


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Names of what is sampled and calls per sample, in order; nothing waits."""
    entries: list[tuple[str, int]] = []

    def sample(call, size):
        entries.append((call(), size))
        return Sample(0.01, False, 0.0)

    monkeypatch.setattr(timing, "_sample", sample)
    monkeypatch.setattr(timing, "_wait_for_others", lambda limit: 0.0)
    return entries


def calls(estimates: dict[str, float]):
    return {name: lambda name=name: name for name in estimates}


def test_turns(log: list[tuple[str, int]]) -> None:
    estimates = {"dense": 3.0, "slow": 40.0, "pruned": 2.5, "middling": 5.0}
    rounds = alternate(calls(estimates), estimates, "dense", rounds=7, limit=15.0)
    assert [list(each) for each in rounds] == [
        ["dense", "pruned"],
        ["dense", "pruned", "middling"],
        ["dense", "pruned"],
        ["dense", "pruned", "middling"],
        ["dense", "slow", "pruned", "middling"],
    ]
    assert log == [(name, 1) for each in rounds for name in each]


@pytest.mark.parametrize("rounds, expected", [(1, 1), (2, 2), (3, 3), (9, 3)])
def test_a_slow_baseline_is_in_three_rounds(log, rounds: int, expected: int) -> None:
    estimates = {"dense": 50.0, "slow": 50.0, "pruned": 3.0}
    found = alternate(calls(estimates), estimates, "dense", rounds, limit=10.0)
    assert Counter(name for each in found for name in each) == {
        "dense": expected,
        "slow": 1,
        "pruned": expected,
    }


def test_short_calls_are_warmed_up_and_repeated(log: list[tuple[str, int]]) -> None:
    called = Counter()
    alternate({"dense": lambda: called.update(["dense"])}, {"dense": 2.0}, "dense", 2, limit=0.02)
    assert called["dense"] == 4 and [size for _, size in log] == [1, 20, 20]  # 10 ms as measured


def test_a_sample_is_the_mean_of_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 16.0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    made: list[None] = []
    assert timing._sample(lambda: made.append(None), 4).seconds == 1.5
    assert len(made) == 4


@pytest.mark.parametrize("used, disturbed", [(0.0, False), (0.1, False), (0.2, True)])
def test_others_are_noticed(monkeypatch: pytest.MonkeyPatch, used: float, disturbed: bool) -> None:
    seconds, clock = iter([5.0, 5.0 + used]), iter([0.0, 1.0])
    monkeypatch.setattr(timing._Others, "_used", staticmethod(lambda: next(seconds)))
    monkeypatch.setattr(timing.time, "monotonic", lambda: next(clock))
    assert timing._Others().disturb() is disturbed


def test_ratios_are_of_the_rounds_that_have_both() -> None:
    times = [(6.0, 1.0), (1.0, None), (8.0, 2.0), (9.0, 4.0)]
    rounds = [
        {name: Sample(t, False, 0.5) for name, t in zip("ab", each, strict=True) if t}
        for each in times
    ]
    assert timing.ratio(rounds, "a", "b") == (6.0 / 1.0, 8.0 / 2.0)
    assert timing.timing(rounds, "a") == (7000.0, 1000.0, 4, 0, 0.5, 0.5)


def test_waiting_ends_when_the_machine_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = iter([True, True, False])
    monkeypatch.setattr(timing._Others, "disturb", lambda self: next(busy))
    monkeypatch.setattr(timing.time, "sleep", lambda seconds: None)
    timing._wait_for_others(60.0)
    assert list(busy) == []
    monkeypatch.setattr(timing._Others, "disturb", lambda self: True)
    timing._wait_for_others(0.05)
