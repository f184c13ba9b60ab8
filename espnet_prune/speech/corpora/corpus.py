"""What a corpus of utterances is: its parts as distributed, and the sets made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Utterance(NamedTuple):
    """An utterance as its corpus distributes it.

    Attributes:
        name: Utterance id, which begins with the speaker.
        speaker: Who speaks.
        audio: File with this utterance alone.
        text: What is said, after the intent where the corpus has intents.
    """

    name: str
    speaker: str
    audio: Path
    text: str


class Found(NamedTuple):
    """The utterances of a part whose audio is there, and what is missing, in words."""

    utterances: Sequence[Utterance]
    missing: Sequence[str]


class Size(NamedTuple):
    """Number of utterances, and of speakers."""

    utterances: int
    speakers: int

    def __str__(self) -> str:
        return f"{self.utterances} utterances of {self.speakers} speaker(s)"


@dataclass(frozen=True)
class SpeechCorpus:
    """A corpus of utterances.

    Attributes:
        title: Its name.
        home: Where it is explained and downloaded, and its licence.
        layout: What the corpus's folder holds, for messages.
        parts: Published number of utterances of each part, None where we could not verify one.
        sets: Parts that each data directory is made of.
        default_sets: Data directories to make if nobody says which.
        find: Finds the utterances of a part: (folder, part) to what there is.
    """

    title: str
    home: str
    layout: str
    parts: Mapping[str, int | None]
    sets: Mapping[str, Sequence[str]]
    default_sets: Sequence[str]
    find: Callable[[Path, str], Found]
