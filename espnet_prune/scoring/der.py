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

    Times are in seconds; where several speak, each counts.
    """

    miss: float
    false_alarm: float
    confusion: float
    speech: float  # of the reference, as far as it is scored
    jaccard: float  # sum over the reference speakers of their Jaccard errors, each from 0 to 1
    speakers: float  # of the reference


@dataclass(frozen=True)
class Score:
    """Error rates of a recording or of all: fractions, NaN where nobody speaks in the reference.

    DER is ``miss + false_alarm + confusion``, each a share of ``speech``: the scored seconds of
    the reference, overlapping speakers counted each. JER is the mean over its speakers.
    """

    der: float
    miss: float
    false_alarm: float
    confusion: float
    jer: float
    speech: float


@dataclass(frozen=True)
class Scores:
    """Scores of a set of recordings, and what they are made of.

    ``total`` has the errors of all recordings over the speech of all, and JER over all speakers.
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
    """Score the turns of each recording against reference turns.

    A recording without a hypothesis is missed altogether.

    Args:
        reference, hypothesis: turns of each recording.
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
        regions = _extent(*turns) if uem is None else scored_time(uem[recording])
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


def scored_time(regions: Iterable[Region]) -> Timeline:
    """The time within any of the regions."""
    return Timeline([Segment(region.start, region.end) for region in regions]).support()


def _extent(*sides: Iterable[Turn]) -> Timeline:
    turns = Timeline([Segment(turn.start, turn.end) for side in sides for turn in side])
    return Timeline([turns.extent()])


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
