"""Error rates agree with cases computed by hand."""

from __future__ import annotations

import math

import pytest

from espnet_prune.data.rttm import Turn
from espnet_prune.data.tables import DataError
from espnet_prune.data.uem import Region
from espnet_prune.scoring.der import Score, score


def turns(*spans: tuple[str, float, float], recording: str = "a") -> dict[str, list[Turn]]:
    return {recording: [Turn(recording, start, end - start, who) for who, start, end in spans]}


def rates(each: Score) -> tuple[float, float, float]:
    return each.miss, each.false_alarm, each.confusion


REFERENCE = turns(("A", 0, 4), ("B", 4, 10))


def test_perfect_whatever_the_labels() -> None:
    found = score(REFERENCE, turns(("2", 0, 4), ("1", 4, 10))).total
    assert (found.der, found.jer, found.speech) == (0, 0, 10)


def test_miss_false_alarm_and_confusion() -> None:
    # 1 s of A missed, 1 s of A given to B's speaker, 2 s of false alarm after the end.
    found = score(REFERENCE, turns(("x", 1, 3), ("y", 3, 12))).total
    assert rates(found) == pytest.approx((0.1, 0.2, 0.1))
    assert found.der == pytest.approx(0.4)
    # A: union [0, 4], 2 s wrong; B: union [3, 12], 3 s wrong.
    assert found.jer == pytest.approx((2 / 4 + 3 / 9) / 2)


def test_overlap_counts_for_each_speaker() -> None:
    reference = turns(("A", 0, 6), ("B", 4, 10))
    found = score(reference, turns(("x", 0, 5), ("y", 5, 10))).total
    assert found.speech == 12
    assert rates(found) == pytest.approx((2 / 12, 0, 0))


def test_skip_overlap() -> None:
    reference = turns(("A", 0, 6), ("B", 4, 10))
    found = score(reference, turns(("x", 0, 5), ("y", 5, 9)), skip_overlap=True).total
    assert found.speech == 8
    assert rates(found) == pytest.approx((1 / 8, 0, 0))


def test_collar_is_the_width_on_each_side_of_a_boundary() -> None:
    # Boundaries at 0, 4, 10: not scored are [0, 0.25], [3.75, 4.25], [9.75, 10.25].
    hypothesis = turns(("x", 0.25, 3.75), ("y", 4.25, 10.25))
    found = score(REFERENCE, hypothesis, collar=0.25).total
    assert found.speech == pytest.approx(9)
    assert found.der == 0
    late = score(REFERENCE, turns(("x", 0, 4.5), ("y", 4.5, 10)), collar=0.25).total
    assert rates(late) == pytest.approx((0, 0, 0.25 / 9))


def test_collar_does_not_change_jer() -> None:
    hypothesis = turns(("x", 1, 3), ("y", 3, 12))
    options = score(REFERENCE, hypothesis, collar=0.25, skip_overlap=True).total
    assert options.jer == score(REFERENCE, hypothesis).total.jer


def test_touching_turns_of_one_speaker_have_no_boundary() -> None:
    parts = turns(("A", 0, 2), ("A", 2, 4), ("A", 1, 3), ("B", 4, 10))
    hypothesis = turns(("x", 1, 3), ("y", 3, 12))
    assert score(parts, hypothesis, collar=0.25) == score(REFERENCE, hypothesis, collar=0.25)


def test_uem_limits_what_is_scored() -> None:
    hypothesis = turns(("x", 1, 3), ("y", 3, 12))
    found = score(REFERENCE, hypothesis, {"a": [Region("a", 2, 3.5), Region("a", 9, 11)]}).total
    assert found.speech == pytest.approx(2.5)
    assert rates(found) == pytest.approx((0, 1 / 2.5, 0.5 / 2.5))


def test_uem_beyond_the_reference_counts_false_alarm_there() -> None:
    hypothesis = REFERENCE["a"] + [Turn("a", 20, 5, "A")]
    found = score(REFERENCE, {"a": hypothesis}, {"a": [Region("a", 0, 22)]}).total
    assert rates(found) == pytest.approx((0, 0.2, 0))


def test_without_uem_the_extent_of_both_is_scored() -> None:
    hypothesis = REFERENCE["a"] + [Turn("a", 20, 5, "A")]
    assert rates(score(REFERENCE, {"a": hypothesis}).total) == pytest.approx((0, 0.5, 0))


def test_recording_without_hypothesis_is_missed() -> None:
    reference = REFERENCE | turns(("C", 0, 10), recording="b")
    found = score(reference, turns(("x", 0, 4), ("y", 4, 10)))
    assert rates(found.recordings["a"]) == (0, 0, 0)
    assert rates(found.recordings["b"]) == (1, 0, 0)
    assert found.recordings["b"].jer == 1
    assert rates(found.total) == (0.5, 0, 0)
    assert found.total.jer == pytest.approx(1 / 3)


def test_total_weights_recordings_by_speech() -> None:
    reference = REFERENCE | turns(("C", 0, 30), recording="b")
    hypothesis = {**REFERENCE, **turns(("C", 0, 15), recording="b")}
    assert score(reference, hypothesis).total.miss == pytest.approx(15 / 40)


def test_unknown_recording_is_refused() -> None:
    with pytest.raises(DataError, match="recordings of the reference, found 'b'; score"):
        score(REFERENCE, turns(("x", 0, 1), recording="b"))


def test_silent_recording_of_the_uem_counts_false_alarms() -> None:
    uem = {"a": [Region("a", 0, 10)], "b": [Region("b", 0, 10)]}
    found = score(REFERENCE, REFERENCE | turns(("x", 0, 1), recording="b"), uem)
    assert math.isnan(found.recordings["b"].der)
    assert rates(found.total) == pytest.approx((0, 0.1, 0))


def test_recording_outside_the_uem_is_not_scored(caplog: pytest.LogCaptureFixture) -> None:
    reference = REFERENCE | turns(("C", 0, 10), recording="b")
    found = score(reference, REFERENCE, {"a": [Region("a", 0, 10)]})
    assert list(found.recordings) == ["a"]
    assert "1 recording(s) are not in the uem" in caplog.text


def test_empty_reference_has_no_rates() -> None:
    found = score({}, {})
    assert found.recordings == {}
    assert found.total.speech == 0
    assert math.isnan(found.total.der)
    assert math.isnan(found.total.jer)


def test_negative_collar_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a collar of 0 s or more"):
        score(REFERENCE, REFERENCE, collar=-0.25)
