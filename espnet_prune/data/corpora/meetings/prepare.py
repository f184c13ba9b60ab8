"""Data directories out of a corpus as distributed: find, check, make mono, write."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet_prune.data.corpora.meetings.corpus import Corpus, Size, Source, shown
from espnet_prune.data.corpora.meetings.recordings import Header, make_mono, read_header
from espnet_prune.data.meetings import END_TOLERANCE, DataDir, write_data_dir
from espnet_prune.data.rttm import Turn
from espnet_prune.data.tables import DataError
from espnet_prune.data.uem import Region, read_uem
from espnet_prune.progress import progress

HOURS_TOLERANCE = 0.01  # of the published hours of a split
SHORTEST_TURN = 0.001  # seconds

logger = logging.getLogger(__name__)


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
        allow_incomplete: prepare the part that is there if files are missing.

    Returns:
        The size of each split that was written.

    Raises:
        DataError: with every problem: missing files, sizes other than published (both unless
            ``allow_incomplete``), audio or annotation that cannot be read.
    """
    paths = [Path(folder) for folder in folders]
    splits, missing = corpus.find(paths)
    splits, unannotated = _annotated(splits)
    headers = _read_headers(corpus, splits)
    sizes = {split: _size(sources, headers) for split, sources in splits.items()}
    _check_complete(corpus, sizes, [*missing, *unannotated], paths, allow_incomplete)
    turns = _read_turns(corpus, splits, headers)
    regions = _read_regions(splits, headers)
    output = Path(output)
    for split, sources in splits.items():
        if not sources:
            continue
        audio = {source.name: source.audio for source in sources}
        monos = make_mono(audio, output / "local" / "audio" / split, corpus.to_mono, nj)
        data = DataDir(
            output / split,
            {name: str(mono) for name, mono in monos.items()},
            {source.name: turns[source.name] for source in sources},
            {source.name: regions[source.name] for source in sources},
        )
        write_data_dir(data, data.path)
    return {split: size for split, size in sizes.items() if size.recordings}


def _annotated(
    splits: Mapping[str, Sequence[Source]],
) -> tuple[dict[str, list[Source]], list[str]]:
    """Leave out recordings without annotation, and tell which."""
    kept: dict[str, list[Source]] = {}
    missing = []
    for split, sources in splits.items():
        kept[split] = [source for source in sources if source.annotation.is_file()]
        absent = [str(source.annotation) for source in sources if not source.annotation.is_file()]
        if absent:
            missing.append(
                f"{split}: expected an annotation of {len(sources)} recordings, "
                f"found none of {len(absent)}: {shown(absent)}"
            )
    return kept, missing


def _read_headers(corpus: Corpus, splits: Mapping[str, Sequence[Source]]) -> dict[str, Header]:
    sources = [source for split in splits.values() for source in split]
    headers: dict[str, Header] = {}
    problems: list[str] = []
    for source in progress(sources, "read headers"):
        if source.name in headers:
            problems.append(f"{source.audio}: expected it once, found {source.name} twice")
        try:
            headers[source.name] = read_header(source.audio, corpus.channels)
        except DataError as error:
            problems += error.args
    if problems:
        raise DataError(*problems)
    return headers


def _size(sources: Sequence[Source], headers: Mapping[str, Header]) -> Size:
    return Size(len(sources), sum(headers[source.name].seconds for source in sources) / 3600)


def _check_complete(
    corpus: Corpus,
    sizes: Mapping[str, Size],
    missing: Sequence[str],
    folders: Sequence[Path],
    allow_incomplete: bool,
) -> None:
    problems = list(missing)
    for split, expected in corpus.splits.items():
        found = sizes[split]
        hours_agree = math.isclose(found.hours, expected.hours, rel_tol=HOURS_TOLERANCE)
        if found.recordings != expected.recordings or not hours_agree:
            problems.append(f"{split}: expected {expected}, found {found}")
    if not problems:
        return
    where = ", ".join(map(str, folders))
    if not any(size.recordings for size in sizes.values()):
        raise DataError(
            f"expected {corpus.title} in {where}, found no recording; name the folders: "
            f"{corpus.folders}; {corpus.home} has them",
            *problems,
        )
    if not allow_incomplete:
        raise DataError(
            f"expected all of {corpus.title} in {where}, found a part; download the rest, see "
            f"{corpus.home}, or prepare the part with --allow_incomplete",
            *problems,
        )
    for problem in problems:
        logger.warning("incomplete: %s", problem)


def _read_turns(
    corpus: Corpus, splits: Mapping[str, Sequence[Source]], headers: Mapping[str, Header]
) -> dict[str, list[Turn]]:
    turns: dict[str, list[Turn]] = {}
    problems: list[str] = []
    for source in progress([s for split in splits.values() for s in split], "read annotations"):
        try:
            everything = corpus.read_turns(source)
        except DataError as error:
            problems += error.args
            continue
        turns[source.name] = _cut(everything, source, headers[source.name].seconds)
    if problems:
        raise DataError(*problems)
    return turns


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


def _read_regions(
    splits: Mapping[str, Sequence[Source]], headers: Mapping[str, Header]
) -> dict[str, list[Region]]:
    regions: dict[str, list[Region]] = {}
    for source in (source for split in splits.values() for source in split):
        if source.uem is None:
            regions[source.name] = [Region(source.name, 0.0, headers[source.name].seconds)]
            continue
        regions[source.name] = read_uem(source.uem).get(source.name, [])
        if not regions[source.name]:
            raise DataError(
                f"{source.uem}: expected a region of {source.name}, found none; download it again"
            )
    return regions
