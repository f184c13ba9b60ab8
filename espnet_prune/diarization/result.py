"""What comes of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from espnet_prune.data.rttm import Turn, to_annotation
from espnet_prune.diarization.voices import Voice

if TYPE_CHECKING:
    from pyannote.core import Annotation


class Diarization(NamedTuple):
    """Who spoke when in a recording, and what they sound like.

    Attributes:
        recording: its name.
        turns: in the order of time; speakers who are not known are numbered by their first speech.
        voices: embedding ``(E,)`` of length one of each speaker, by name, in that order.
    """

    recording: str
    turns: list[Turn]
    voices: dict[str, Voice]

    @property
    def annotation(self) -> Annotation:
        """The turns for pyannote."""
        return to_annotation(self.turns, self.recording)
