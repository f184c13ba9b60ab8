"""Data directories out of a corpus as distributed: find, check, write."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet_prune.data.corpora.utterances.corpus import Found, Size, SpeechCorpus
from espnet_prune.data.tables import DataError
from espnet_prune.data.utterances import UtteranceDir, write_utterance_dir
from espnet_prune.progress import progress

logger = logging.getLogger(__name__)


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
        allow_incomplete: prepare what is there if files are missing.
        audio_only: transcripts are neither needed nor written.

    Returns:
        The size of each set that was written.

    Raises:
        DataError: unknown sets, malformed tables, one speaker, speakers in several parts, sets
            without an utterance and, unless ``allow_incomplete``, missing files and sizes other
            than published.
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
    found = {part: corpus.find(folder, part) for part in progress(needed, "find utterances")}
    wanted = _without_texts if audio_only else _with_texts
    found = {part: wanted(there) for part, there in found.items()}
    _require_all(corpus, found, folder, allow_incomplete)
    _require_speakers(corpus, found, folder)
    data = {name: _merge(name, [found[part] for part in corpus.sets[name]]) for name in sets}
    empty = [name for name, tables in data.items() if not tables.wavs]
    if empty:
        raise DataError(
            f"expected utterances of every set in {folder}, found none of {', '.join(empty)}; "
            "name the others with --sets"
        )
    for name, tables in data.items():
        write_utterance_dir(tables, Path(output) / name)
    return {name: Size(len(d.wavs), len(set(d.speakers.values()))) for name, d in data.items()}


def _with_texts(found: Found) -> Found:
    silent = [f"the text of {item.audio}" for item in found.utterances if item.text is None]
    told = [item for item in found.utterances if item.text is not None]
    return found._replace(utterances=told, missing=[*found.missing, *silent])


def _without_texts(found: Found) -> Found:
    return found._replace(utterances=[item._replace(text=None) for item in found.utterances])


def _merge(name: str, parts: Sequence[Found]) -> UtteranceDir:
    listed = [item for found in parts for item in found.utterances]
    # Reversed, so that of two with one name the first stays.
    utterances = {item.name: item for item in reversed(listed)}
    repeated = len(listed) - len(utterances)
    if repeated:
        logger.info("%s: left out %d recording(s) listed before", name, repeated)
    speakers = {key: item.speaker for key, item in utterances.items()}
    texts = {key: item.text for key, item in utterances.items() if item.text is not None}
    tables: dict[str, dict[str, str]] = {}
    for found in parts:
        for table, values in found.speaker_tables.items():
            own = {speaker: values[speaker] for speaker in values.keys() & set(speakers.values())}
            tables.setdefault(table, {}).update(own)
    wavs = {key: str(item.audio) for key, item in utterances.items()}
    return UtteranceDir(wavs, speakers, texts or None, speaker_tables=tables)


def _require_all(
    corpus: SpeechCorpus, found: Mapping[str, Found], folder: Path, allow_incomplete: bool
) -> None:
    if not any(there.utterances for there in found.values()):
        raise DataError(
            f"expected {corpus.title} in {folder}, found no utterance; the folder has to hold "
            f"{corpus.layout}; {corpus.home} has them"
        )
    parts = [_lacking(part, corpus.parts[part], there) for part, there in found.items()]
    lacking = "; ".join(filter(None, parts))
    if lacking and not allow_incomplete:
        raise DataError(
            f"expected all of {corpus.title} in {folder}, found {lacking}; get the rest, see "
            f"{corpus.home}, or prepare what is there with --allow_incomplete"
        )
    if lacking:
        logger.warning("incomplete: %s in %s: %s", corpus.title, folder, lacking)


def _lacking(part: str, expected: int | None, found: Found) -> str:
    """What a part lacks, in words; empty if nothing."""
    number, missing = len(found.utterances), found.missing
    if not missing and expected in (None, number):
        return ""
    text = f"{part} with {number} of {expected or number + len(missing)} utterances"
    if missing:
        text += f", {len(missing)} missing, the first {missing[0]}"
    return text


def _require_speakers(corpus: SpeechCorpus, found: Mapping[str, Found], folder: Path) -> None:
    """Of a corpus whose parts have speakers of their own."""
    if not corpus.speakers_apart:
        return
    part_of: dict[str, str] = {}
    for part, there in found.items():
        for item in there.utterances:
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
