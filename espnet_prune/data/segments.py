"""Kaldi's ``segments``: the utterances that recordings hold."""

from __future__ import annotations

from dataclasses import dataclass

from espnet_prune.data.tables import check_interval, parse_seconds

LAYOUT = "<utterance> <recording> <start> <end> [<channel>]"


@dataclass(frozen=True)
class Segment:
    """An utterance in a recording.

    Attributes:
        id: utterance id.
        recording: recording id.
        start: Seconds from the beginning of the recording.
        end: likewise; None for the recording's end, which Kaldi writes as -1.

    Raises:
        ValueError: unless 0 <= start < end.
    """

    id: str
    recording: str
    start: float
    end: float | None

    def __post_init__(self) -> None:
        check_interval(self.start, self.start + 1 if self.end is None else self.end)

    def duration(self, recording: float) -> float:
        """Seconds, in a recording of so many seconds."""
        return (recording if self.end is None else min(self.end, recording)) - self.start


def parse_segment(fields: list[str]) -> Segment:
    """Make a segment of the fields of a line; its channel says nothing about mono recordings.

    Raises:
        ValueError: for a malformed line.
    """
    if len(fields) not in (4, 5):
        raise ValueError(
            f"expected 4 or 5 fields, found {len(fields)}; write the line as `{LAYOUT}`"
        )
    end = parse_seconds(fields[3], "end")
    return Segment(
        fields[0], fields[1], parse_seconds(fields[2], "start"), None if end == -1 else end
    )
