"""Word and character error rates, and the accuracy of intents, over the utterances of a set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import editdistance

from espnet_prune.data import DataError
from espnet_prune.data.tables import scan_table
from espnet_prune.encoder.typed import read_typed
from espnet_prune.scoring.significance import rate_interval
from espnet_prune.storage.config_files import read_json
from espnet_prune.storage.files import atomic_write


@dataclass(frozen=True)
class AsrScores:
    """Scores of one test set; rates are fractions.

    With intents, the rates of words and characters are of what follows an utterance's first word.
    Intervals are of 95 %, by bootstrap over speakers; None of one speaker. ``units`` are the wrong
    words and the words of each speaker.
    """

    utterances: int
    words: int  # in the references
    wer: float
    cer: float  # blanks between words are characters, too
    ser: float  # share of utterances with an error
    intent_accuracy: float | None = None  # None for texts without intents
    wer_interval: tuple[float, float] | None = None
    intent_interval: tuple[float, float] | None = None
    units: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def score(
    reference: Mapping[str, str],
    hypothesis: Mapping[str, str],
    intent: bool,
    speakers: Mapping[str, str] | None = None,
) -> AsrScores:
    """Score texts by utterance.

    With ``intent`` the first word of each is one. Without ``speakers``, by utterance, each
    utterance has its own.

    Raises:
        DataError: different utterances, none, no speaker of one, or no word in any reference.
    """
    if only := sorted(reference.keys() ^ hypothesis.keys()):
        raise DataError(
            f"expected a hypothesis for each reference, found {len(only)} utterances of one alone, "
            f"such as {only[0]}; decode the whole set again"
        )
    if speakers is None:
        speakers = {utterance: utterance for utterance in reference}
    if unknown := sorted(reference.keys() - speakers.keys()):
        raise DataError(f"expected the speaker of each utterance, found none of {unknown[0]}")
    names = [speakers[utterance] for utterance in reference]
    words = [(text.split(), hypothesis[name].split()) for name, text in reference.items()]
    accuracy = intents = None
    if intent:
        right = [int(ours[:1] == theirs[:1]) for ours, theirs in words]
        accuracy = sum(right) / max(1, len(right))
        intents = _interval(right, [1] * len(right), names)
        words = [(ours[1:], theirs[1:]) for ours, theirs in words]
    characters = [(" ".join(ours), " ".join(theirs)) for ours, theirs in words]
    errors, lengths = _edits(words), [len(ours) for ours, _ in words]
    total = sum(lengths)
    if not total:
        raise DataError("expected words in the references, found none; is it the right file?")
    return AsrScores(
        utterances=len(words),
        words=total,
        wer=sum(errors) / total,
        cer=sum(_edits(characters)) / sum(len(ours) for ours, _ in characters),
        ser=sum(ours != theirs for ours, theirs in words) / len(words),
        intent_accuracy=accuracy,
        wer_interval=_interval(errors, lengths, names),
        intent_interval=intents,
        units=by_group(errors, lengths, names),
    )


def by_group(
    parts: Sequence[int], wholes: Sequence[int], groups: Sequence[str]
) -> dict[str, tuple[int, int]]:
    """The sums of ``parts`` and ``wholes`` of each group, that of a speaker say."""
    sums: dict[str, tuple[int, int]] = {}
    for part, whole, group in zip(parts, wholes, groups, strict=True):
        before = sums.get(group, (0, 0))
        sums[group] = before[0] + part, before[1] + whole
    return sums


def read_texts(path: Path) -> dict[str, str]:
    """The texts of a Kaldi ``text`` file by utterance; a text may be empty.

    Raises:
        DataError: no such file, a line that cannot be read, or an utterance twice.
    """

    def parse(fields: list[str]) -> tuple[str, str]:
        return fields[0], fields[1] if len(fields) > 1 else ""

    try:
        rows, problems = scan_table(path, parse, max_fields=2)
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: expected a text file of utterances, found none; decode first"
        ) from error
    texts = dict(row for _, row in rows)
    if len(texts) < len(rows):
        problems.append(f"{path}: expected every utterance once, found one twice; correct it")
    if problems:
        raise DataError(*problems)
    return texts


def write_scores(scores: AsrScores, path: Path) -> None:
    """Write the scores as JSON, atomically."""
    atomic_write(path, json.dumps(asdict(scores), indent=1) + "\n")


def read_scores(path: Path) -> AsrScores:
    """Read what :func:`write_scores` wrote."""
    return read_typed(AsrScores, read_json(path), path)


def _edits(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[int]:
    return [editdistance.eval(ours, theirs) for ours, theirs in pairs]


def _interval(
    parts: Sequence[int], wholes: Sequence[int], speakers: Sequence[str]
) -> tuple[float, float] | None:
    if len(set(speakers)) < 2:
        return None
    return rate_interval(list(zip(parts, wholes, strict=True)), groups=speakers)
