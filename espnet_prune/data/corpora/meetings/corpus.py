"""What a meeting corpus is: its splits as published, where its files lie, how they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from espnet_prune.data.corpora.meetings.recordings import ToMono
from espnet_prune.data.rttm import Turn, read_rttm
from espnet_prune.data.tables import DataError

MAX_NAMES_SHOWN = 5


class Size(NamedTuple):
    """Number of recordings, and their total length in hours."""

    recordings: int
    hours: float

    def __str__(self) -> str:
        return f"{self.recordings} recordings of {self.hours:.2f} hours"


class Source(NamedTuple):
    """A recording as its corpus distributes it.

    Attributes:
        name: recording id.
        audio: file of one or more channels.
        annotation: RTTM or TextGrid file of its turns.
        uem: file of its scored regions, or None: all of it is scored.
    """

    name: str
    audio: Path
    annotation: Path
    uem: Path | None = None


class Found(NamedTuple):
    """The recordings of each split, and what is missing, one problem in words each."""

    splits: Mapping[str, Sequence[Source]]
    missing: Sequence[str]


@dataclass(frozen=True)
class Corpus:
    """A meeting corpus.

    Attributes:
        title: its name.
        home: where it is explained and downloaded.
        folders: what the folders given by the user hold, for messages.
        splits: the published size of each split, in the order of preparation.
        channels: channels that a file has at least.
        to_mono: makes one channel of a file's channels.
        find: finds the recordings in the user's folders.
        read_turns: reads the turns of a recording.
    """

    title: str
    home: str
    folders: str
    splits: Mapping[str, Size]
    channels: int
    to_mono: ToMono
    find: Callable[[Sequence[Path]], Found]
    read_turns: Callable[[Source], list[Turn]]


def find_folder(folders: Sequence[Path], places: Sequence[str]) -> Path | None:
    """Find the first of some places (relative paths) that exists in one of the folders."""
    for folder in folders:
        for place in places:
            if (folder / place).is_dir():
                return folder / place
    return None


def shown(names: Sequence[str]) -> str:
    """List the first few of some names."""
    more = ", ..." if len(names) > MAX_NAMES_SHOWN else ""
    return ", ".join(names[:MAX_NAMES_SHOWN]) + more


def rttm_turns(source: Source) -> list[Turn]:
    """Read the turns of a recording that has an RTTM file of its own.

    Raises:
        DataError: for a malformed file, one without turns, and turns of other recordings.
    """
    turns = read_rttm(source.annotation)
    if set(turns) != {source.name}:
        raise DataError(
            f"{source.annotation}: expected turns of {source.name}, "
            f"found {shown(sorted(turns)) or 'none'}; download the file again"
        )
    return turns[source.name]
