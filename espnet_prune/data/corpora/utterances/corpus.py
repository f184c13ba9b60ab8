"""What a corpus of utterances is, and data directories out of it: find, check, write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from espnet_prune.data.audio import SUFFIXES
from espnet_prune.data.tables import DataError
from espnet_prune.data.utterances import UtteranceDir, write_utterance_dir
from espnet_prune.progress import progress

logger = logging.getLogger(__name__)


class Utterance(NamedTuple):
    """An utterance as its corpus lists it.

    Attributes:
        name: utterance id, which begins with the speaker.
        speaker: who speaks.
        audio: file with this utterance alone; what is there may have another suffix.
        text: what is said, after the intent if the corpus has intents; None if it is missing.
        of_speaker: more of the speaker, by the name of the table: ``spk2gender``, ``spk2age``.
    """

    name: str
    speaker: str
    audio: Path
    text: str | None
    of_speaker: Mapping[str, str] = {}


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
        lists: what has to be in the corpus's folder to know the utterances of a part.
        find: the utterances of a part of the corpus in a folder that has its lists.
        speakers_apart: every part has speakers of its own.
    """

    title: str
    home: str
    layout: str
    parts: Mapping[str, int | None]
    sets: Mapping[str, Sequence[str]]
    default_sets: Sequence[str]
    lists: Callable[[str], Sequence[str]]
    find: Callable[[Path, str], Iterable[Utterance]]
    speakers_apart: bool = True


def audio_files(folder: Path) -> dict[str, Path]:
    """The audio files of a folder by their names without suffix, whatever their format."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {file.stem: file for file in files if file.suffix.lower() in SUFFIXES}


@contextmanager
def built_as(expected: str, place: str, home: str) -> Iterator[None]:
    """Names the place of JSON that the ``with`` block cannot read because it is built otherwise."""
    try:
        yield
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise DataError(
            f"{place}: expected {expected}, found {type(error).__name__}: {error}; download it "
            f"again from {home}"
        ) from error


def prepare(
    corpus: SpeechCorpus,
    folder: str | Path,
    output: str | Path,
    sets: Sequence[str] | None = None,
    allow_incomplete: bool = False,
    audio_only: bool = False,
) -> dict[str, Size]:
    """Write ``<output>/<set>/{wav.scp,text,utt2spk,spk2utt}`` of a corpus; audio is not copied.

    ``spk2gender`` and ``spk2age`` are written where the corpus has them. Everything is checked
    before the first set is written. A recording that a corpus lists twice is taken once.

    Args:
        corpus: which corpus.
        folder: where its files lie, as ``corpus.layout`` says.
        output: where the data directories go.
        sets: those to write, keys of ``corpus.sets``; None writes ``corpus.default_sets``.
        allow_incomplete: files may be missing, and sizes other than published.
        audio_only: transcripts are neither needed nor written.
    """
    folder = Path(folder)
    sets = list(sets or corpus.default_sets)
    unknown = [name for name in sets if name not in corpus.sets]
    if unknown:
        raise DataError(
            f"expected sets of {corpus.title}, found {', '.join(unknown)}; "
            f"choose of {', '.join(corpus.sets)}"
        )
    needed = [part for part in corpus.parts if any(part in corpus.sets[name] for name in sets)]
    found: dict[str, list[Utterance]] = {}
    lacking = []
    for part in progress(needed, "find utterances"):
        found[part], missing = _find(corpus, folder, part, audio_only)
        lacking += _lacking(part, corpus.parts[part], len(found[part]), missing)
    _require_all(corpus, folder, any(found.values()), "; ".join(lacking), allow_incomplete)
    if corpus.speakers_apart:
        _require_speakers(corpus, found, folder)
    data = {
        name: _merge(name, [item for part in corpus.sets[name] for item in found[part]])
        for name in sets
    }
    empty = [name for name, tables in data.items() if not tables.wavs]
    if empty:
        raise DataError(
            f"expected utterances of every set in {folder}, found none of {', '.join(empty)}; "
            "name the others with --sets"
        )
    for name, tables in data.items():
        write_utterance_dir(tables, Path(output) / name)
    return {name: Size(len(d.wavs), len(set(d.speakers.values()))) for name, d in data.items()}


def _find(
    corpus: SpeechCorpus, folder: Path, part: str, audio_only: bool
) -> tuple[list[Utterance], list[str]]:
    """The utterances of a part that are there, and what is missing."""
    lists = [folder / name for name in corpus.lists(part)]
    missing = [str(path) for path in lists if not path.exists()]
    there: list[Utterance] = []
    files_of = cache(audio_files)
    for item in [] if missing else corpus.find(folder, part):
        audio = files_of(item.audio.parent).get(item.audio.stem)
        if audio is None:
            missing.append(str(item.audio))
        elif item.text is None and not audio_only:
            missing.append(f"the text of {audio}")
        else:
            there.append(item._replace(audio=audio, text=None if audio_only else item.text))
    return there, missing


def _lacking(part: str, expected: int | None, number: int, missing: Sequence[str]) -> list[str]:
    """What a part lacks, in words; empty if nothing."""
    if not missing and expected in (None, number):
        return []
    text = f"{part} with {number} of {expected or number + len(missing)} utterances"
    return [text + (f", {len(missing)} missing, the first {missing[0]}" if missing else "")]


def _require_all(
    corpus: SpeechCorpus, folder: Path, some: bool, lacking: str, allow_incomplete: bool
) -> None:
    if not some:
        raise DataError(
            f"expected {corpus.title} in {folder}, found no utterance; the folder has to hold "
            f"{corpus.layout}; {corpus.home} has them"
        )
    if lacking and not allow_incomplete:
        raise DataError(
            f"expected all of {corpus.title} in {folder}, found {lacking}; get the rest, see "
            f"{corpus.home}, or prepare what is there with --allow_incomplete"
        )
    if lacking:
        logger.warning("incomplete: %s in %s: %s", corpus.title, folder, lacking)


def _require_speakers(
    corpus: SpeechCorpus, found: Mapping[str, Sequence[Utterance]], folder: Path
) -> None:
    """Of a corpus whose parts have speakers of their own."""
    part_of: dict[str, str] = {}
    for part, item in ((part, item) for part, items in found.items() for item in items):
        other = part_of.setdefault(item.speaker, part)
        if other != part:
            raise DataError(
                f"expected other speakers in each part of {corpus.title}, found speaker "
                f"{item.speaker} in {other} and in {part} in {folder}; unpack it again"
            )
    if len(part_of) == 1:
        raise DataError(
            f"expected several speakers of {corpus.title}, found only {next(iter(part_of))} in "
            f"{folder}; unpack more of it"
        )


def _merge(name: str, listed: Sequence[Utterance]) -> UtteranceDir:
    # Reversed, so that of two with one name the first stays.
    utterances = {item.name: item for item in reversed(listed)}
    repeated = len(listed) - len(utterances)
    if repeated:
        logger.info("%s: left out %d recording(s) listed before", name, repeated)
    tables: dict[str, dict[str, str]] = {}
    for item in utterances.values():
        for table, value in item.of_speaker.items():
            tables.setdefault(table, {})[item.speaker] = value
    return UtteranceDir(
        {key: str(item.audio) for key, item in utterances.items()},
        {key: item.speaker for key, item in utterances.items()},
        {key: item.text for key, item in utterances.items() if item.text is not None} or None,
        speaker_tables=tables,
    )
