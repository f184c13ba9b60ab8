"""Speaker turns, and their NIST RTTM files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_prune.data.tables import (
    DataError,
    check_start,
    parse_seconds,
    read_recordings,
    write_lines,
)

if TYPE_CHECKING:
    from pyannote.core import Annotation

LAYOUT = "SPEAKER <recording> 1 <start> <duration> <NA> <NA> <speaker> <NA> <NA>"
# Up to the speaker: what follows, and how much of it, differs from writer to writer.
_FEWEST_FIELDS = 8
# The other line types of NIST's RTTM specification; they say nothing about who speaks when.
OTHER_TYPES = frozenset({
    "SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT",
    "IP", "SU", "CB", "A/P", "SPKR-INFO",
})  # fmt: skip


@dataclass(frozen=True)
class Turn:
    """One speaker's stretch of speech: 0 <= start, 0 < duration, in seconds; no blanks in names."""

    recording: str
    start: float
    duration: float
    speaker: str

    def __post_init__(self) -> None:
        check_start(self.start)
        if not 0 < self.duration < math.inf:
            raise ValueError(
                f"expected a duration above 0 s, found {self.duration:g} s; "
                "correct or remove the turn"
            )
        for name in (self.recording, self.speaker):
            if os.fsencode(name).split() != [os.fsencode(name)]:
                raise ValueError(f"expected a label without blanks, found {name!r}; rename it")

    @property
    def end(self) -> float:
        """Seconds from the beginning of the recording."""
        return self.start + self.duration


def parse_turn(fields: list[str]) -> Turn | None:
    """Make a turn of the fields of an RTTM line, or None of a line of another NIST type."""
    if fields[0] in OTHER_TYPES:
        return None
    if fields[0] != "SPEAKER":
        raise ValueError(
            f"expected a line type of RTTM, found {fields[0]!r}; write the line as `{LAYOUT}`"
        )
    if len(fields) < _FEWEST_FIELDS:
        raise ValueError(
            f"expected {_FEWEST_FIELDS} fields or more, found {len(fields)}; write the line as "
            f"`{LAYOUT}`"
        )
    start, duration = parse_seconds(fields[3], "start"), parse_seconds(fields[4], "duration")
    return Turn(fields[1], start, duration, fields[7])


def read_rttm(path: str | Path) -> dict[str, list[Turn]]:
    """Read the turns of every recording of an RTTM file, in its order, or of a folder of them."""
    return read_recordings(path, ".rttm", parse_turn)


def write_rttm(path: str | Path, turns: Mapping[str, Iterable[Turn]]) -> None:
    """Write an RTTM file atomically, sorted; 0.1 ms have to resolve every turn."""
    write_lines(path, rttm_lines(turns))


def rttm_lines(turns: Mapping[str, Iterable[Turn]]) -> list[str]:
    """The lines of an RTTM file; see :func:`write_rttm`."""
    everyone = [turn for recording in turns.values() for turn in recording]
    everyone.sort(key=lambda turn: (turn.recording, turn.start, turn.end, turn.speaker))
    return [_format(turn) for turn in everyone]


def to_annotation(turns: Iterable[Turn], uri: str) -> Annotation:
    """Make a pyannote annotation of the turns of one recording."""
    from pyannote.core import Annotation, Segment  # brings matplotlib

    annotation = Annotation(uri=uri)
    for track, turn in enumerate(turns):
        annotation[Segment(turn.start, turn.end), track] = turn.speaker
    return annotation


def from_annotation(annotation: Annotation) -> list[Turn]:
    """Make turns, ordered in time, of a pyannote annotation that has a ``uri``."""
    return [
        Turn(annotation.uri, segment.start, segment.duration, str(label))
        for segment, _, label in annotation.itertracks(yield_label=True)
    ]


def _format(turn: Turn) -> str:
    # Rounding both ends, not the duration, keeps adjoining turns adjoining.
    start, end = round(turn.start, 4), round(turn.end, 4)
    if end <= start:
        raise DataError(f"expected a turn of 0.1 ms or longer, found {turn}; remove it")
    return (
        f"SPEAKER {turn.recording} 1 {start:.4f} {end - start:.4f} <NA> <NA> "
        f"{turn.speaker} <NA> <NA>"
    )
