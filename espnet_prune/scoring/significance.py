"""How sure error rates are: bootstrap intervals, and the paired comparison of two systems.

Recordings are resampled with replacement, as Bisani and Ney (ICASSP 2004) do with utterances:
errors within a recording depend on each other, and so must stay together (Liu and Peng, 2020,
arXiv 1912.09508). Of few recordings the plain percentiles of the resampled rates are too narrow;
the expanded percentiles of Hesterberg (The American Statistician, 2015) make up for that.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from espnet_prune.data.tables import DataError

if TYPE_CHECKING:
    from espnet_prune.scoring.der import Counts, Scores

CONFIDENCE = 0.95
RESAMPLES = 10_000
MARGIN = 0.005
FEW = 6  # recordings: with fewer, even these intervals are clearly too narrow


class Interval(NamedTuple):
    """The ends of a 95 % interval, fractions; NaN where recordings are too few to have one."""

    low: float
    high: float


NONE = Interval(math.nan, math.nan)


class Intervals(NamedTuple):
    """Intervals of both error rates of a set of recordings."""

    der: Interval
    jer: Interval


class Difference(NamedTuple):
    """DER of one recording after two systems, and B's minus A's: fractions, NaN if silent."""

    der_a: float
    der_b: float
    difference: float


@dataclass(frozen=True)
class Comparison:
    """DER of system B against that of A on the same recordings; rates are fractions."""

    der_a: float
    der_b: float
    difference: float  # der_b - der_a
    interval: Interval  # of the difference
    margin: float  # what difference still counts as none
    worse: float  # share of the resamples in which B is worse than A by more than the margin
    recordings: Mapping[str, Difference]  # the largest, up or down, first


def rate_intervals(
    counts: Collection[Counts], resamples: int = RESAMPLES, seed: int = 0
) -> Intervals:
    """The intervals of DER and JER of a set, of the counts of each of its recordings.

    Of one recording nothing says how much another would differ: both intervals are NaN.
    """
    der = [(sum(each[:3]), each.speech) for each in counts]
    jer = [(each.jaccard, each.speakers) for each in counts]
    return Intervals(*(rate_interval(pairs, resamples, seed) for pairs in (der, jer)))


def rate_interval(
    counts: Collection[tuple[float, float]],
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: Sequence[str] | None = None,
) -> Interval:
    """The interval of a rate, part over whole of all ``counts``, say errors over words.

    ``groups`` says what each recording or utterance belongs to, its speaker say; groups stay
    together. None: each is one.

    Raises:
        ValueError: for less than one resample.
    """
    table = np.array(list(counts), dtype=float).reshape(-1, 2)
    if groups is not None:
        index = np.unique(groups, return_inverse=True)[1]
        table = np.stack([np.bincount(index, weights=column) for column in table.T], axis=1)
    if len(table) < 2:
        return NONE
    return interval(_resampled_rates(table, resamples, seed), len(table))


def compare(
    a: Scores, b: Scores, margin: float = MARGIN, resamples: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """Compare the DER of two systems; each resample takes the same recordings of both.

    Raises:
        DataError: for different recordings, scored speech that differs, or fewer than two
            recordings with speech.
        ValueError: for a negative margin, or less than one resample.
    """
    if not margin >= 0:
        raise ValueError(f"expected a margin of 0 or more, found {margin}; correct it")
    _check_pairs(a, b)
    table = [(sum(b.counts[name][:3]) - sum(each[:3]), each.speech)
             for name, each in a.counts.items()]  # fmt: skip
    differences = _resampled_rates(np.array(table), resamples, seed)
    return Comparison(
        der_a=a.total.der,
        der_b=b.total.der,
        difference=b.total.der - a.total.der,
        interval=interval(differences, len(table)),
        margin=margin,
        worse=float((differences > margin).mean()),
        recordings=_by_size(a, b),
    )


def conclude(found: Comparison) -> str:
    """Say in one sentence what a comparison shows; 'points' are percentage points of DER."""
    low, high = found.interval
    interval = f"95 % interval of the difference {100 * low:+.2f} to {100 * high:+.2f} points"
    if high < 0:
        return f"B is better than A ({interval})."
    limit = f"more than {100 * found.margin:g} points"
    if high <= found.margin:
        return f"No degradation: B is not worse than A by {limit} ({interval})."
    if low > found.margin:
        return f"Degradation: B is worse than A by {limit} ({interval})."
    return f"Undecided: B may or may not be worse than A by {limit} ({interval})."


def interval(rates: NDArray[np.float64], recordings: int) -> Interval:
    """The 95 % interval of the resampled rates ``(R,)`` of so many recordings, or speakers."""
    if not len(rates):
        return NONE
    from scipy.stats import norm, t  # takes a second

    # A resample spreads as a sample would, but for the factor that makes a variance unbiased, and
    # few samples have heavier tails than a normal distribution: those of Student's t.
    widest = t.ppf((1 - CONFIDENCE) / 2, recordings - 1)
    tail = norm.cdf(math.sqrt(recordings / (recordings - 1)) * widest)
    return Interval(*np.quantile(rates, [tail, 1 - tail]).tolist())


def _resampled_rates(table: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Part over whole of rows drawn with replacement from ``table`` ``(N, 2)``.

    A draw of silent recordings alone has no rate.
    """
    if resamples < 1:
        raise ValueError(f"expected one resample or more, found {resamples}; ask for 1000 or more")
    size = len(table)
    # How often each row is drawn says it all, and both columns share it.
    times = np.random.default_rng(seed).multinomial(size, [1 / size] * size, size=resamples)
    parts, wholes = (times @ table).T
    return parts[wholes > 0] / wholes[wholes > 0]


def _check_pairs(a: Scores, b: Scores) -> None:
    if only := sorted(a.counts.keys() ^ b.counts.keys()):
        raise DataError(
            f"expected the same recordings of both systems, found {', '.join(only)} of one alone; "
            "score both against one reference"
        )
    for name, counts in a.counts.items():
        if not math.isclose(counts.speech, b.counts[name].speech, abs_tol=1e-3):
            raise DataError(
                f"expected the same scored speech of both systems, found {counts.speech:.3f} s and "
                f"{b.counts[name].speech:.3f} s of {name}; score both against one reference"
            )
    spoken = sum(counts.speech > 0 for counts in a.counts.values())
    if spoken < 2:
        raise DataError(
            f"expected two recordings with speech or more, found {spoken}; "
            "one does not say how much another would differ"
        )


def _by_size(a: Scores, b: Scores) -> dict[str, Difference]:
    """Of each recording; those that are silent last, those of one size by name."""
    rates = {name: (each.der, b.recordings[name].der) for name, each in a.recordings.items()}
    found = {name: Difference(*both, both[1] - both[0]) for name, both in rates.items()}
    sizes = {name: abs(each.difference) for name, each in found.items()}
    ranks = {name: (-size if size >= 0 else 1, name) for name, size in sizes.items()}
    return {name: found[name] for name in sorted(found, key=ranks.__getitem__)}
