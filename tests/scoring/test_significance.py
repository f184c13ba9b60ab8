"""Intervals cover what they should, and comparisons know degradation from chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, t

from espnet_prune.data.tables import DataError
from espnet_prune.scoring.der import Counts, Scores, to_scores
from espnet_prune.scoring.significance import compare, conclude, rate_intervals


def counts(errors: Sequence[float], speech: Sequence[float]) -> list[Counts]:
    """Recordings of four speakers with so many seconds missed, each speaker as wrong as all."""
    return [Counts(e, 0, 0, s, 4 * e / s, 4) for e, s in zip(errors, speech, strict=True)]


def scores(errors: Sequence[float], speech: Sequence[float]) -> Scores:
    return to_scores({f"r{n}": each for n, each in enumerate(counts(errors, speech))})


def draw(rng: np.random.Generator, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors and speech in seconds of meetings with a DER of 20 % on average, whatever length."""
    speech = rng.uniform(300, 3000, number)
    return speech * rng.beta(4, 16, number), speech


def test_as_scipy() -> None:
    rng = np.random.default_rng(0)
    errors, speech = draw(rng, 24)
    speakers = rng.integers(2, 6, 24)
    jaccard = speakers * rng.beta(4, 12, 24)
    data = [Counts(0, e, 0, s, j, n) for e, s, j, n in
            zip(errors, speech, jaccard, speakers, strict=True)]  # fmt: skip
    found = rate_intervals(data, 20000)
    for interval, parts in ((found.der, (errors, speech)), (found.jer, (jaccard, speakers))):
        expected = bootstrap(
            parts,
            lambda part, whole, axis: part.sum(axis) / whole.sum(axis),
            paired=True,
            method="percentile",
            n_resamples=20000,
            confidence_level=1 - 2 * norm.cdf(t.ppf(0.025, 23) * (24 / 23) ** 0.5),
            rng=1,
        ).confidence_interval
        tolerance = 0.03 * (expected.high - expected.low)
        assert interval == pytest.approx((expected.low, expected.high), abs=tolerance)


def test_intervals_cover_the_truth_even_of_few_recordings() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(500):
        low, high = rate_intervals(counts(*draw(rng, 12)), 1000).der
        covered += low <= 0.2 <= high
    assert 0.925 <= covered / 500 <= 0.975


def test_no_spread_no_width() -> None:
    der, jer = rate_intervals(counts([1, 2, 3], [10, 20, 30]), 100)
    assert der == pytest.approx((0.1, 0.1))
    assert jer == pytest.approx((0.1, 0.1))


def test_seed_decides() -> None:
    data = counts(*draw(np.random.default_rng(2), 10))
    assert rate_intervals(data, 500, seed=3) == rate_intervals(data, 500, seed=3)
    assert rate_intervals(data, 500, seed=3) != rate_intervals(data, 500, seed=4)


@pytest.mark.parametrize("number", [0, 1])
def test_too_few_for_an_interval(number: int) -> None:
    found = rate_intervals(counts([1] * number, [10] * number), 100)
    assert all(math.isnan(end) for interval in found for end in interval)


def test_silent_recordings() -> None:
    silent = Counts(0, 5, 0, 0, 0, 0)
    low, high = rate_intervals([silent, silent, *counts([1, 1], [10, 10])], 2000).der
    # False alarms of silent recordings count; draws of nothing else have no rate.
    assert low == pytest.approx(0.1)
    assert high == pytest.approx(1.6)
    assert math.isnan(rate_intervals([silent, silent], 10).der.low)


def test_resamples_are_needed() -> None:
    with pytest.raises(ValueError, match="expected one resample or more, found 0"):
        rate_intervals(counts([1, 2], [10, 10]), 0)


def test_equal_systems() -> None:
    system = scores(*draw(np.random.default_rng(3), 12))
    found = compare(system, system)
    assert (found.difference, *found.interval, found.worse) == (0, 0, 0, 0)
    assert conclude(found).startswith("No degradation: B is not worse than A by more than 0.5 p")


def test_pairs_make_it_sharp() -> None:
    errors, speech = draw(np.random.default_rng(4), 20)
    a, b = scores(errors, speech), scores(errors + 0.01 * speech, speech)
    found = compare(a, b, margin=0.02)
    # Each rate is unsure, their difference is not.
    low, high = rate_intervals(a.counts.values()).der
    assert high - low > 0.02
    assert found.interval == pytest.approx((0.01, 0.01))
    assert found.worse == 0
    assert compare(a, b, margin=0.009).worse == 1


def test_the_other_way_round() -> None:
    rng = np.random.default_rng(5)
    (errors, speech), (other, _) = draw(rng, 15), draw(rng, 15)
    a, b = scores(errors, speech), scores(np.minimum(other, speech), speech)
    there, back = compare(a, b), compare(b, a)
    assert there.difference == pytest.approx(-back.difference)
    assert there.interval == pytest.approx([-end for end in reversed(back.interval)])
    assert there.worse + back.worse < 1


@pytest.mark.parametrize(
    "changes, words",
    [
        ([-0.02, -0.01, -0.03, -0.02], "B is better than A (95 % interval of the difference -"),
        ([-0.002, 0.002, 0.001, 0.003], "No degradation: B is not worse than A by more than 0.5 "),
        ([0.02, 0.03, 0.02, 0.04], "Degradation: B is worse than A by more than 0.5 points (95 %"),
        ([-0.02, 0.03, -0.01, 0.04], "Undecided: B may or may not be worse than A by more than"),
    ],
)
def test_conclusions(changes: list[float], words: str) -> None:
    a = scores([20.0] * 4, [100.0] * 4)
    b = scores([20 + 100 * change for change in changes], [100.0] * 4)
    assert conclude(compare(a, b)).startswith(words)


def test_largest_difference_first() -> None:
    a = scores([10, 10, 10], [100, 100, 100])
    b = scores([11, 5, 10], [100, 100, 100])
    silent = {"s": Counts(0, 1, 0, 0, 0, 0)}
    a, b = (to_scores({**silent, **system.counts}) for system in (a, b))
    found = compare(a, b)
    assert list(found.recordings) == ["r1", "r0", "r2", "s"]
    assert found.recordings["r1"] == pytest.approx((0.1, 0.05, -0.05))
    assert math.isnan(found.recordings["s"].difference)


@pytest.mark.parametrize(
    "other, message",
    [
        (scores([1], [10]), "expected the same recordings of both systems, found r1 of one"),
        (scores([1, 1], [10, 11]), r"found 10.000 s and 11.000 s of r1; score both"),
    ],
)
def test_systems_of_different_references(other: Scores, message: str) -> None:
    with pytest.raises(DataError, match=message):
        compare(scores([1, 1], [10, 10]), other)


def test_one_recording_is_too_few() -> None:
    with pytest.raises(DataError, match="expected two recordings with speech or more, found 1"):
        compare(scores([1], [10]), scores([2], [10]))


def test_negative_margin() -> None:
    system = scores([1, 1], [10, 10])
    with pytest.raises(ValueError, match="expected a margin of 0 or more, found -0.1"):
        compare(system, system, margin=-0.1)
