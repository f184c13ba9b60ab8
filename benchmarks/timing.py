"""Time several callables in turns, and notice what else the machine does meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

# A sample is as many calls as this takes, in seconds, up to some number of calls.
_SAMPLE, _MAX_CALLS = 0.25, 20
# Others disturb a sample by more than this, in CPU seconds per second and beyond the resolution of
# the kernel's counters.
_SHARE, _RESOLUTION = 0.1, 0.03
# How long to wait for them, in seconds: at a time, before a sample, and in all.
_PROBE, _PATIENCE, _PATIENCE_IN_ALL = 0.1, 1.5, 30.0
# Of shorter calls, in seconds, the first ones take noticeably longer than those to come.
_COLD = 2.0
_FEWEST_ROUNDS = 3

Key = TypeVar("Key", bound=Hashable)


class Sample(NamedTuple):
    """Seconds of one call, whether others were busy meanwhile, and the load average before."""

    seconds: float
    disturbed: bool
    load: float


def alternate(
    calls: Mapping[Key, Callable[[], object]],
    estimates: Mapping[Key, float],
    baseline: Key,
    rounds: int,
    limit: float,
) -> list[dict[Key, Sample]]:
    """Time ``calls`` in turns, so that what slows the machine slows all alike.

    Args:
        calls: what to time.
        estimates: about how many seconds each takes.
        baseline: what the others are compared to; it is in every round, and in three at least.
        rounds: at most.
        limit: seconds after which a call is left out of further rounds.
    """
    estimates = {key: _estimate(call, estimates[key]) for key, call in calls.items()}
    sizes = {key: max(1, min(_MAX_CALLS, round(_SAMPLE / estimates[key]))) for key in calls}
    turns = {key: max(1, min(rounds, int(limit / estimates[key]))) for key in calls}
    turns[baseline] = rounds = min(rounds, max(_FEWEST_ROUNDS, turns[baseline]))
    patience, disturbed = _PATIENCE_IN_ALL, True
    samples = []
    for index in range(rounds):
        current = {}
        for key, call in calls.items():
            turn = min(rounds, turns[key])
            if turn * (index + 1) // rounds > turn * index // rounds:  # evenly over the rounds
                if disturbed:
                    patience -= _wait_for_others(min(_PATIENCE, patience))
                current[key] = _sample(call, sizes[key])
                disturbed = current[key].disturbed
        samples.append(current)
    return samples


class Timing(NamedTuple):
    """Median and least time of a call, how often it was timed, in how many rounds disturbed, and
    between which load averages of the machine."""

    milliseconds: float
    milliseconds_min: float
    rounds: int
    disturbed: int
    load_min: float
    load_max: float


class Ratio(NamedTuple):
    """Of two calls' times over the rounds that have both: of their least and of their medians."""

    minima: float
    medians: float


def timing(rounds: Sequence[Mapping[Key, Sample]], key: Key) -> Timing:
    """Those of ``key`` in the rounds that have it."""
    samples = [each[key] for each in rounds if key in each]
    seconds = [sample.seconds for sample in samples]
    disturbed = sum(sample.disturbed for sample in samples)
    loads = [sample.load for sample in samples]
    least, middle = 1000 * min(seconds), 1000 * median(seconds)
    return Timing(middle, least, len(samples), disturbed, min(loads), max(loads))


def ratio(rounds: Sequence[Mapping[Key, Sample]], over: Key, under: Key) -> Ratio:
    """How many times as long as ``under`` the call ``over`` takes."""
    pairs = [(each[over], each[under]) for each in rounds if over in each and under in each]
    above, below = ([sample.seconds for sample in own] for own in zip(*pairs, strict=True))
    return Ratio(min(above) / min(below), median(above) / median(below))


def load_average() -> float:
    """How many processes of the machine ran or wanted to, over the last minute."""
    return os.getloadavg()[0]


def _estimate(call: Callable[[], object], estimate: float) -> float:
    if estimate > _COLD:
        return estimate
    call()
    return _sample(call, 1).seconds


def _sample(call: Callable[[], object], size: int) -> Sample:
    load, others, start = load_average(), _Others(), time.perf_counter()
    for _ in range(size):
        call()
    return Sample((time.perf_counter() - start) / size, others.disturb(), load)


def _wait_for_others(limit: float) -> float:
    """Wait until no other process is busy, at most ``limit`` seconds; the seconds waited."""
    start = time.monotonic()
    while time.monotonic() - start < limit:
        others = _Others()
        time.sleep(_PROBE)
        if not others.disturb():
            break
    return time.monotonic() - start


class _Others:
    """CPU time of other processes, and of other virtual machines, since it was made."""

    def __init__(self) -> None:
        self.start, self.used = time.monotonic(), self._used()

    def disturb(self) -> bool:
        """Whether it is noticeable."""
        seconds = time.monotonic() - self.start
        return self._used() - self.used > _SHARE * seconds + _RESOLUTION

    @staticmethod
    def _used() -> float:
        try:
            line = Path("/proc/stat").read_text().splitlines()[0]
        except OSError:  # not Linux: nobody else is seen
            return 0.0
        user, nice, system, _, _, irq, softirq, steal, *_ = map(int, line.split()[1:])
        ticks = user + nice + system + irq + softirq + steal
        return ticks / os.sysconf("SC_CLK_TCK") - time.process_time()
