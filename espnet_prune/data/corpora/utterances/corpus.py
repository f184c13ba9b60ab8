"""What a corpus of utterances is: its parts as distributed, and the sets made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from espnet_prune.data.audio import SUFFIXES


class Utterance(NamedTuple):
    """An utterance as its corpus distributes it.

    Attributes:
        name: utterance id, which begins with the speaker.
        speaker: who speaks.
        audio: file with this utterance alone.
        text: what is said, after the intent where the corpus has intents; None where the corpus
            has it and it is not there.
    """

    name: str
    speaker: str
    audio: Path
    text: str | None


class Found(NamedTuple):
    """What is there of a part.

    Attributes:
        utterances: those whose audio is there.
        missing: files that should be there, too, by their paths.
        speaker_tables: more of the speakers, by the name of the table: ``spk2gender``, ``spk2age``.
    """

    utterances: Sequence[Utterance]
    missing: Sequence[str]
    speaker_tables: Mapping[str, Mapping[str, str]] = {}


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
        title: its name.
        home: where it is explained and downloaded, and its licence.
        layout: what the corpus's folder holds, for messages.
        parts: published number of utterances of each part, None where we could not verify one.
        sets: parts that each data directory is made of.
        default_sets: data directories to make if nobody says which.
        find: finds the utterances of a part: (folder, part) to what there is.
        speakers_apart: every part has speakers of its own.
    """

    title: str
    home: str
    layout: str
    parts: Mapping[str, int | None]
    sets: Mapping[str, Sequence[str]]
    default_sets: Sequence[str]
    find: Callable[[Path, str], Found]
    speakers_apart: bool = True


def audio_files(folder: Path) -> dict[str, Path]:
    """The audio files of a folder by their names without suffix, whatever their format."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {file.stem: file for file in files if file.suffix.lower() in SUFFIXES}
