"""What a meeting corpus is, and data directories out of it: find, check, make mono, write."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from espnet_prune.data.corpora.meetings.recordings import ToMono, make_mono, read_seconds
from espnet_prune.data.meetings import END_TOLERANCE, DataDir, write_data_dir
from espnet_prune.data.rttm import Turn, read_rttm
from espnet_prune.data.tables import DataError, Problems, shown
from espnet_prune.data.uem import Region, read_uem
from espnet_prune.progress import progress

HOURS_TOLERANCE = 0.01  # of the published hours of a split
SHORTEST_TURN = 0.001  # seconds

logger = logging.getLogger(__name__)


class Size(NamedTuple):
    """Number of recordings, and their total length in hours."""

    recordings: int
    hours: float

    def __str__(self) -> str:
        return f"{self.recordings} recordings of {self.hours:.2f} hours"


class Source(NamedTuple):
    """Files of a recording as its corpus distributes it; without a UEM all of it is scored."""

    name: str
    audio: Path
    annotation: Path
    uem: Path | None = None


class Found(NamedTuple):
    """The recordings of each split, and what is missing, one problem in words each."""

    splits: Mapping[str, Sequence[Source]]
    missing: Sequence[str]

    def having(self, what: str, file: Callable[[Source], Path]) -> Found:
        """Leave out recordings without a file, and tell which."""
        splits, missing = {}, [*self.missing]
        for split, sources in self.splits.items():
            splits[split] = [source for source in sources if file(source).is_file()]
            absent = [file(source) for source in sources if not file(source).is_file()]
            if absent:
                names = shown([path.name for path in absent])
                missing.append(
                    f"{split}: expected {what} of {len(sources)} meetings, found none of "
                    f"{len(absent)}: {names}; the first would be {absent[0]}"
                )
        return Found(splits, missing)


def rttm_turns(path: Path, recording: str) -> list[Turn]:
    """Read the turns of a recording that has an RTTM file of its own."""
    turns = read_rttm(path)
    if set(turns) != {recording}:
        raise DataError(
            f"{path}: expected turns of {recording}, found {shown(sorted(turns)) or 'none'}; "
            "download the file again"
        )
    return turns[recording]


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
        read_turns: reads the turns of a recording from its annotation, given its id.
    """

    title: str
    home: str
    folders: str
    splits: Mapping[str, Size]
    channels: int
    to_mono: ToMono
    find: Callable[[Sequence[Path]], Found]
    read_turns: Callable[[Path, str], list[Turn]] = rttm_turns


def find_folder(folders: Sequence[Path], places: Sequence[str]) -> Path | None:
    """Find the first of some places (relative paths) that exists in one of the folders."""
    paths = (folder / place for folder in folders for place in places)
    return next((path for path in paths if path.is_dir()), None)


def find_archives(
    folders: Sequence[Path], places: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Path], list[str]]:
    """Find the folder of each part, which has one of some places, and tell what to unpack."""
    found = {part: find_folder(folders, places[part]) for part in places}
    missing = [
        f"{part}: expected the folder {place}, found none; unpack {place.split('/')[0]}.tar.gz"
        for part, (place, *_) in places.items()
        if found[part] is None
    ]
    return {part: folder for part, folder in found.items() if folder}, missing


def prepare(
    corpus: Corpus,
    folders: Sequence[str | Path],
    output: str | Path,
    nj: int = 1,
    allow_incomplete: bool = False,
) -> dict[str, Size]:
    """Write ``<output>/<split>/{wav.scp,rttm,uem}`` of a corpus, and mono audio where it has more.

    Everything is checked before the first recording is converted. Recordings that an earlier run
    has converted are kept. Turns are cut at the end of their recording.

    Args:
        corpus: which corpus.
        folders: where its files lie; together they hold what ``corpus.folders`` says.
        output: where the data directories go; mono audio goes to ``local/audio/<split>`` therein.
        nj: number of recordings to convert at a time.
        allow_incomplete: files may be missing, and sizes other than published.
    """
    paths = [Path(folder) for folder in folders]
    found = corpus.find(paths).having("an annotation", lambda source: source.annotation)
    everything = [source for split in found.splits.values() for source in split]
    seconds = _read_seconds(corpus, everything)
    sizes = {
        split: Size(len(sources), sum(seconds[source.name] for source in sources) / 3600)
        for split, sources in found.splits.items()
    }
    _require_all(corpus, sizes, found.missing, ", ".join(map(str, paths)), allow_incomplete)
    turns, regions = _read_annotations(corpus, everything, seconds)
    sizes = {split: size for split, size in sizes.items() if size.recordings}
    for split in sizes:
        folder = Path(output, split)
        audio = {source.name: source.audio for source in found.splits[split]}
        monos = make_mono(audio, Path(output, "local", "audio", split), corpus.to_mono, nj)
        data = DataDir(
            folder,
            {name: str(mono) for name, mono in monos.items()},
            {name: turns[name] for name in audio},
            {name: regions[name] for name in audio},
        )
        write_data_dir(data, folder)
    return sizes


def _read_seconds(corpus: Corpus, sources: Sequence[Source]) -> dict[str, float]:
    """Read the length of each recording from its header."""
    seconds: dict[str, float] = {}
    problems = Problems()
    for source in progress(sources, "read headers"):
        if source.name in seconds:
            problems.append(f"{source.audio}: expected it once, found {source.name} twice")
        with problems.collect():
            seconds[source.name] = read_seconds(source.audio, corpus.channels)
    problems.raise_any()
    return seconds


def _require_all(
    corpus: Corpus,
    sizes: Mapping[str, Size],
    missing: Sequence[str],
    where: str,
    allow_incomplete: bool,
) -> None:
    problems = [*missing]
    for split, expected in corpus.splits.items():
        found = sizes[split]
        hours_agree = math.isclose(found.hours, expected.hours, rel_tol=HOURS_TOLERANCE)
        if found.recordings != expected.recordings or not hours_agree:
            problems.append(f"{split}: expected {expected}, found {found}")
    if problems and not any(size.recordings for size in sizes.values()):
        raise DataError(
            f"expected {corpus.title} in {where}, found no recording; name the folders: "
            f"{corpus.folders}; {corpus.home} has them",
            *problems,
        )
    if problems and not allow_incomplete:
        raise DataError(
            f"expected all of {corpus.title} in {where}, found a part; download the rest, see "
            f"{corpus.home}, or prepare the part with --allow_incomplete",
            *problems,
        )
    for problem in problems:
        logger.warning("incomplete: %s", problem)


def _read_annotations(
    corpus: Corpus, sources: Sequence[Source], seconds: Mapping[str, float]
) -> tuple[dict[str, list[Turn]], dict[str, list[Region]]]:
    """Read turns and scored regions of each recording."""
    turns: dict[str, list[Turn]] = {}
    regions: dict[str, list[Region]] = {}
    problems = Problems()
    for source in progress(sources, "read annotations"):
        name, end = source.name, seconds[source.name]
        with problems.collect():
            turns[name] = _cut(corpus.read_turns(source.annotation, name), source, end)
            regions[name] = [Region(name, 0.0, end)]
            if source.uem is not None:
                regions[name] = read_uem(source.uem).get(name, [])
            if not regions[name]:
                raise DataError(
                    f"{source.uem}: expected a region of {name}, found none; download it again"
                )
    problems.raise_any()
    return turns, regions


def _cut(turns: Sequence[Turn], source: Source, seconds: float) -> list[Turn]:
    """Cut turns at the end of their recording: some annotations go on for seconds or minutes."""
    ends = [min(turn.end, seconds) for turn in turns]
    beyond = sum(turn.end - max(end, turn.start) for turn, end in zip(turns, ends, strict=True))
    if beyond > END_TOLERANCE:
        logger.warning(
            "%s: left out %.1f s of turns after the end of the audio, which has %.1f s",
            source.annotation, beyond, seconds,
        )  # fmt: skip
    return [
        Turn(turn.recording, turn.start, end - turn.start, turn.speaker)
        for turn, end in zip(turns, ends, strict=True)
        if end - turn.start > SHORTEST_TURN
    ]
