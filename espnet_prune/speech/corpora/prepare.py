"""Data directories out of a corpus as distributed: find, check, write."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet_prune.diarization.tables import DataError
from espnet_prune.progress import progress
from espnet_prune.speech.corpora.corpus import Found, Size, SpeechCorpus, Utterance
from espnet_prune.speech.data_dir import UtteranceDir, write_utterance_dir

logger = logging.getLogger(__name__)


def prepare(
    corpus: SpeechCorpus,
    folder: str | Path,
    output: str | Path,
    sets: Sequence[str] | None = None,
    allow_incomplete: bool = False,
) -> dict[str, Size]:
    """Write `<output>/<set>/{wav.scp,text,utt2spk,spk2utt}` of a corpus; audio is not copied.

    Everything is checked before the first set is written. A recording that a corpus lists twice is
    taken once.

    Args:
        corpus: Which corpus.
        folder: Where its files lie, as `corpus.layout` says.
        output: Where the data directories go.
        sets: Those to write, keys of `corpus.sets`; None writes `corpus.default_sets`.
        allow_incomplete: Prepare what is there if files are missing.

    Returns:
        The size of each set that was written.

    Raises:
        DataError: With every problem: unknown sets, malformed transcripts, and, unless
            `allow_incomplete`, missing files and sizes other than published.
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
    _check_complete(corpus, found, folder, allow_incomplete)
    sizes: dict[str, Size] = {}
    for name in sets:
        parts = [found[part].utterances for part in corpus.sets[name]]
        # Reversed, so that of two with one name the first stays.
        utterances = {item.name: item for part in reversed(parts) for item in reversed(part)}
        repeated = sum(map(len, parts)) - len(utterances)
        if repeated:
            logger.info("%s: left out %d recording(s) listed before", name, repeated)
        if utterances:
            write_utterance_dir(_tables(utterances), Path(output) / name)
            speakers = {item.speaker for item in utterances.values()}
            sizes[name] = Size(len(utterances), len(speakers))
    return sizes


def _tables(utterances: Mapping[str, Utterance]) -> UtteranceDir:
    return UtteranceDir(
        {name: str(item.audio) for name, item in utterances.items()},
        {name: item.speaker for name, item in utterances.items()},
        {name: item.text for name, item in utterances.items()},
    )


def _check_complete(
    corpus: SpeechCorpus, found: Mapping[str, Found], folder: Path, allow_incomplete: bool
) -> None:
    problems: list[str] = []
    for part, (utterances, missing) in found.items():
        expected = corpus.parts[part]
        if expected is not None and len(utterances) != expected:
            problems.append(f"{part}: expected {expected} utterances, found {len(utterances)}")
        problems += missing
    if not problems:
        return
    if not any(utterances for utterances, _ in found.values()):
        raise DataError(
            f"expected {corpus.title} in {folder}, found no utterance; the folder has to hold "
            f"{corpus.layout}; {corpus.home} has them",
            *problems,
        )
    if not allow_incomplete:
        raise DataError(
            f"expected all of {corpus.title} in {folder}, found a part; download the rest, see "
            f"{corpus.home}, or prepare the part with --allow_incomplete",
            *problems,
        )
    for problem in str(DataError(*problems)).splitlines():
        logger.warning("incomplete: %s", problem)
