"""Error rates agree with an independent count by md-eval's rules, in exact arithmetic.

What NIST's md-eval (version 22, read as it comes with Kaldi) does, and where `score`, which is
`pyannote.metrics`, differs:

* The collar is on each side of every boundary of a reference turn, also of those outside the
  scored regions. pyannote's is the whole width; `score` converts. md-eval takes boundaries as
  they are written; `score` joins touching and overlapping turns of one speaker first. (dscore
  joins overlapping ones; it also cuts turns at the edges of the UEM, which thus get a collar.)
* Without overlap (`-1`), time with two reference speakers or more is not scored. The same here.
* Each reference speaker is paired with at most one speaker found, once per recording, so that
  they have the most time in common: md-eval adds up ALL EVALUATED TIME, before it takes away
  collars and overlap; pyannote adds up the SCORED time, after. So md-eval's confusion may be
  higher, never lower; without a collar and with overlap they agree.
* In each stretch of time, confusion is min(reference, found) minus the right pairs.
* md-eval leaves out a recording without any reference turn; `score` counts its false alarms.
* Without a UEM, md-eval scores from the first to the last reference turn, and so misses false
  alarms before and after; dscore and `score` score the extent of both sides.
* md-eval leaves out NOSCORE and NON-LEX lines of the reference; `score` knows only SPEAKER lines.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import pytest

from espnet_prune.data.rttm import Turn
from espnet_prune.data.uem import Region
from espnet_prune.scoring.der import score

Span = tuple[str, int, int]  # speaker, start and end in hundredths of a second
Spans = Sequence[Span]


class Seconds(NamedTuple):
    """What md-eval counts."""

    miss: Fraction
    false_alarm: Fraction
    confusion: Fraction
    speech: Fraction


class Stretch(NamedTuple):
    """Time in which nothing changes."""

    duration: Fraction
    scored: bool
    true: frozenset[str]
    found: frozenset[str]


def stretches(
    true: Spans, found: Spans, regions: Sequence[tuple[int, int]], collar: int, skip_overlap: bool
) -> list[Stretch]:
    """Cut the evaluated regions wherever a turn, a region or a collar begins or ends."""
    edges = {edge for _, *span in (*true, *found) for edge in span}
    edges |= {edge for region in regions for edge in region}
    boundaries = [edge for edge in edges if active(true, edge, 1) != active(true, edge, -1)]
    edges |= {edge + side for edge in boundaries for side in (-collar, collar)}
    cut = []
    for start, end in itertools.pairwise(sorted(edges)):
        middle = Fraction(start + end, 2)
        if not any(low < middle < high for low, high in regions):
            continue
        speakers = active(true, middle)
        near = any(abs(middle - boundary) < collar for boundary in boundaries)
        scored = not near and not (skip_overlap and len(speakers) > 1)
        cut.append(Stretch(Fraction(end - start, 100), scored, speakers, active(found, middle)))
    return cut


def active(spans: Spans, time: Fraction | int, side: int = 0) -> frozenset[str]:
    """Who speaks at a time, or just before (side -1) or after it (side 1)."""
    time += Fraction(side, 1000)
    return frozenset(speaker for speaker, start, end in spans if start < time < end)


def count(cut: Sequence[Stretch], pair_over_all: bool = False) -> Seconds:
    """Count under the best pairing over the scored stretches, or over all as md-eval does."""
    together: Counter[tuple[str, str]] = Counter()
    for each in cut:
        if each.scored or pair_over_all:
            for pair in itertools.product(each.true, each.found):
                together[pair] += each.duration
    pairs = max(pairings(cut), key=lambda pairs: sum(together[pair] for pair in pairs))
    parts = [Fraction(0)] * 4
    for each in cut:
        if not each.scored:
            continue
        right = sum(one in each.true and other in each.found for one, other in pairs)
        true, found = len(each.true), len(each.found)
        numbers = max(true - found, 0), max(found - true, 0), min(true, found) - right, true
        parts = [part + number * each.duration for part, number in zip(parts, numbers, strict=True)]
    return Seconds(*parts)


def pairings(cut: Sequence[Stretch]) -> list[list[tuple[str, str]]]:
    """Every way to pair the true speakers, each with one of those found or with none."""
    true = sorted(frozenset().union(*(each.true for each in cut)))
    found = sorted(frozenset().union(*(each.found for each in cut)))
    orders = itertools.permutations([*found, *[""] * len(true)], len(true))
    return [[pair for pair in zip(true, order, strict=True) if pair[1]] for order in set(orders)]


def scored(
    true: Spans,
    found: Spans,
    regions: Sequence[tuple[int, int]],
    collar: int,
    skip_overlap: bool,
) -> Seconds:
    """The same seconds by `score`."""
    uem = {"r": [Region("r", low / 100, high / 100) for low, high in regions]}
    scores = score(to_turns(true), to_turns(found), uem, collar / 100, skip_overlap)
    counts = scores.counts["r"]
    return Seconds(counts.miss, counts.false_alarm, counts.confusion, counts.speech)


def to_turns(spans: Spans) -> Mapping[str, list[Turn]]:
    turns = [Turn("r", start / 100, (end - start) / 100, who) for who, start, end in spans]
    return {"r": turns} if turns else {}


def meeting(seed: int) -> tuple[Spans, Spans, list[tuple[int, int]]]:
    """A made-up reference, what a system might find of it, and regions to score."""
    rng = random.Random(seed)
    true: list[Span] = []
    now = rng.randrange(0, 200)
    for _ in range(0 if seed % 7 == 3 else rng.randint(1, 14)):
        length = rng.choice((rng.randint(5, 60), rng.randint(60, 600)))
        true.append((rng.choice("ABCD"[: 1 + seed % 4]), now, now + length))
        # Pauses, touching turns (also of one speaker) and overlaps.
        now = max(
            0, now + length + rng.choice((0, 0, rng.randint(0, 150), -rng.randint(0, length)))
        )
    found: list[Span] = []
    labels = dict(zip("ABCD", "0011" if seed % 5 == 1 else "0123", strict=True))
    for who, start, end in true:
        if rng.random() < 0.1:
            continue
        ends = [max(0, edge + rng.choice((0, rng.randint(-40, 40)))) for edge in (start, end)]
        if rng.random() < 0.2:
            ends.insert(1, rng.randint(*sorted(ends)))
        for low, high in itertools.pairwise(ends):
            label = labels[who] if rng.random() < 0.8 else rng.choice("0123"[: 1 + seed % 4])
            if low < high:
                found.append((label, low, high))
    for _ in range(rng.randint(0, 3)):
        start = rng.randrange(0, now + 200)
        found.append((rng.choice("01"), start, start + rng.randint(5, 200)))
    whole = now + 1000
    middle = rng.randint(100, whole - 100)
    regions = [(0, whole)] if seed % 2 else [(50, middle), (middle + rng.randint(0, 50), whole)]
    return true, found, [(low, high) for low, high in regions if low < high]


OPTIONS = [(0, False), (25, False), (0, True), (25, True)]


@pytest.mark.parametrize("collar, skip_overlap", OPTIONS)
@pytest.mark.parametrize("seed", range(30))
def test_meetings(seed: int, collar: int, skip_overlap: bool) -> None:
    true, found, regions = meeting(seed)
    cut = stretches(true, found, regions, collar, skip_overlap)
    ours = scored(true, found, regions, collar, skip_overlap)
    assert ours == pytest.approx([*map(float, count(cut))], abs=1e-4)
    by_md_eval = count(cut, pair_over_all=True)
    assert ours.confusion <= float(by_md_eval.confusion) + 1e-4
    if not collar and not skip_overlap:
        assert ours == pytest.approx([*map(float, by_md_eval)], abs=1e-4)


def test_meetings_have_what_is_to_be_tested() -> None:
    """The cases above are of all kinds: without these, they would prove little."""
    kinds: Counter[str] = Counter()
    for seed in range(30):
        true, found, regions = meeting(seed)
        cut = stretches(true, found, regions, 25, True)
        speakers = [len({who for who, *_ in side}) for side in (true, found)]
        kinds["silent"] += not true
        kinds["more found"] += speakers[1] > speakers[0]
        kinds["fewer found"] += speakers[1] < speakers[0]
        kinds["overlap"] += any(len(each.true) > 1 for each in cut)
        kinds["several regions"] += len(regions) > 1
        ends = {(who, end) for who, _, end in true}
        kinds["touching"] += any((who, start) in ends for who, start, _ in true)
        for part, seconds in count(cut)._asdict().items():
            kinds[part] += seconds > 0
    missing = [kind for kind, number in kinds.items() if number < 2]
    assert not missing, kinds


FIXED = {
    "perfect": ([("A", 0, 400), ("B", 400, 1000)], [("1", 0, 400), ("0", 400, 1000)]),
    "silent": ([], [("x", 100, 350), ("y", 200, 300)]),
    "nothing found": ([("A", 0, 400), ("B", 300, 1000)], []),
    "more speakers": (
        [("A", 0, 900)],
        [("x", 0, 300), ("y", 300, 700), ("z", 650, 900), ("y", 880, 950)],
    ),
    "fewer speakers": (
        [("A", 0, 300), ("B", 300, 500), ("C", 450, 900)],
        [("x", 20, 480), ("x", 480, 910)],
    ),
    "touching turns": (
        [("A", 100, 220), ("A", 220, 410), ("B", 410, 730)],
        [("x", 90, 220), ("x", 220, 430), ("y", 430, 730)],
    ),
    "turns shorter than a collar": (
        [("A", 100, 140), ("B", 150, 170), ("A", 400, 800)],
        [("x", 100, 170), ("x", 420, 800)],
    ),
}


@pytest.mark.parametrize("collar, skip_overlap", OPTIONS)
@pytest.mark.parametrize("case", FIXED)
def test_fixed_cases(case: str, collar: int, skip_overlap: bool) -> None:
    true, found = FIXED[case]
    for regions in ([(0, 1200)], [(110, 415), (460, 870)]):
        expected = count(stretches(true, found, regions, collar, skip_overlap))
        ours = scored(true, found, regions, collar, skip_overlap)
        assert ours == pytest.approx([*map(float, expected)], abs=1e-4)


def test_where_md_eval_pairs_otherwise() -> None:
    # A has 4 s in common with x and 6 s with y, but 3 of these are in overlap with B, who is z.
    true = [("A", 0, 1000), ("B", 700, 1000), ("B", 2000, 3000)]
    found = [("x", 0, 400), ("y", 400, 1000), ("z", 2000, 3000)]
    cut = stretches(true, found, [(0, 3000)], 0, True)
    assert count(cut, pair_over_all=True) == (0, 0, 4, 17)
    assert scored(true, found, [(0, 3000)], 0, True) == pytest.approx((0, 0, 3, 17))
    assert scored(true, found, [(0, 3000)], 0, False) == pytest.approx((3, 0, 4, 23))
