"""Diarization and Jaccard error rates of whole recordings, by ``pyannote.metrics``."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from pyannote.core import Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate, JaccardErrorRate

from espnet_prune.data.rttm import Turn, to_annotation
from espnet_prune.data.tables import DataError
from espnet_prune.data.uem import Region

logger = logging.getLogger(__name__)


class Counts(NamedTuple):
    """What error rates are made of: sums, which add up over recordings.

    Attributes:
        miss: Seconds of missed speech, of each missed speaker.
        false_alarm: Seconds of false alarm, of each speaker too many.
        confusion: Seconds of speech given to the wrong speaker.
        speech: scored seconds of the reference, overlapping speakers counted each.
        jaccard: sum over the reference speakers of their Jaccard errors, each from 0 to 1.
        speakers: number of reference speakers.
    """

    miss: float
    false_alarm: float
    confusion: float
    speech: float
    jaccard: float
    speakers: float


@dataclass(frozen=True)
class Score:
    """Error rates of a recording or of all: fractions, NaN where nobody speaks in the reference.

    Attributes:
        der: Diarization error rate, ``miss + false_alarm + confusion``.
        miss: missed speech as a fraction of ``speech``.
        false_alarm: False alarm as a fraction of ``speech``.
        confusion: speech of the wrong speaker as a fraction of ``speech``.
        jer: Jaccard error rate, the mean over the reference speakers.
        speech: scored speech of the reference in seconds, overlapping speakers counted each.
    """

    der: float
    miss: float
    false_alarm: float
    confusion: float
    jer: float
    speech: float


@dataclass(frozen=True)
class Scores:
    """Scores of a set of recordings.

    Attributes:
        total: errors of all recordings over the speech of all recordings; JER over all speakers.
        recordings: score of each recording.
        counts: what the scores are made of, for each recording.
    """

    total: Score
    recordings: Mapping[str, Score]
    counts: Mapping[str, Counts]


def score(
    reference: Mapping[str, Sequence[Turn]],
    hypothesis: Mapping[str, Sequence[Turn]],
    uem: Mapping[str, Sequence[Region]] | None = None,
    collar: float = 0.0,
    skip_overlap: bool = False,
) -> Scores:
    """Score turns against reference turns.

    A recording without a hypothesis is missed altogether.

    Args:
        reference: turns of each recording.
        hypothesis: turns of each recording.
        uem: scored regions; its recordings are scored and no others, and one that the reference
            lacks is silent. Without it, every recording of the reference is scored from the first
            start to the last end of any of its turns, in the reference or the hypothesis.
        collar: Seconds on EACH side of a reference boundary that are not scored by DER, as in
            NIST's md-eval (0.25) and dscore.
        skip_overlap: leave overlapping speech of the reference out of DER.

    JER has neither option: it is defined without (second DIHARD challenge).

    DER is md-eval's where nothing is left out. With a collar or without overlap, md-eval pairs
    the speakers over all the evaluated time and ``pyannote.metrics`` over what is left, so that
    md-eval may count more confusion; ``tests/scoring/test_md_eval.py`` has the details.
    dscore's JER pairs speakers for the least JER, this one for the longest common speech.

    Raises:
        DataError: without ``uem``, for a hypothesis of a recording that the reference lacks.
        ValueError: for a negative collar.
    """
    if not collar >= 0:
        raise ValueError(f"expected a collar of 0 s or more, found {collar} s; correct it")
    unknown = sorted(set(hypothesis) - set(reference))
    if unknown and uem is None:
        raise DataError(
            *(
                f"expected a hypothesis of recordings of the reference, found {recording!r}; "
                "score it against its own reference"
                for recording in unknown
            )
        )
    scored = sorted(reference if uem is None else uem)
    if left_out := {*reference, *hypothesis} - set(scored):
        names = ", ".join(sorted(left_out)[:5])
        logger.warning("%d recording(s) are not in the uem: not scored: %s", len(left_out), names)

    # pyannote's collar is the whole width, half of it on each side.
    der = DiarizationErrorRate(collar=2 * collar, skip_overlap=skip_overlap)
    jer = JaccardErrorRate()
    counts = {}
    for recording in scored:
        turns = reference.get(recording, ()), hypothesis.get(recording, ())
        regions = _extent(*turns) if uem is None else _timeline(uem[recording])
        # Touching or overlapping turns of one speaker are one turn.
        true, found = (to_annotation(side, recording).support() for side in turns)
        parts = der(true, found, uem=regions, detailed=True)
        jaccard = jer(true, found, uem=regions, detailed=True)
        counts[recording] = Counts(
            miss=parts["missed detection"],
            false_alarm=parts["false alarm"],
            confusion=parts["confusion"],
            speech=parts["total"],
            jaccard=jaccard["speaker error"],
            speakers=jaccard["speaker count"],
        )
    return to_scores(counts)


def to_scores(counts: Mapping[str, Counts]) -> Scores:
    """Take the error rates of each recording and of all together."""
    table = np.array([*counts.values()], dtype=np.float64).reshape(-1, len(Counts._fields))
    recordings = {recording: _rates(each) for recording, each in counts.items()}
    return Scores(_rates(Counts(*table.sum(axis=0).tolist())), recordings, counts)


def _timeline(regions: Iterable[Region]) -> Timeline:
    return Timeline([Segment(region.start, region.end) for region in regions]).support()


def _extent(reference: Sequence[Turn], hypothesis: Sequence[Turn]) -> Timeline:
    turns = [*reference, *hypothesis]
    if not turns:
        return Timeline()
    extent = Segment(min(turn.start for turn in turns), max(turn.end for turn in turns))
    return Timeline([extent])


def _rates(counts: Counts) -> Score:
    miss, false_alarm, confusion = (_fraction(part, counts.speech) for part in counts[:3])
    return Score(
        der=miss + false_alarm + confusion,
        miss=miss,
        false_alarm=false_alarm,
        confusion=confusion,
        jer=_fraction(counts.jaccard, counts.speakers),
        speech=float(counts.speech),
    )


def _fraction(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else math.nan
