"""Word and character error rates, and the accuracy of intents, over the utterances of a set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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

    Attributes:
        utterances: their number.
        words: in the references.
        wer: word errors (substitutions, deletions, insertions) over words.
        cer: the same of characters, blanks between words included.
        ser: share of utterances with an error.
        intent_accuracy: share of utterances whose first word, the intent, is right; the other
            rates are then of the words after it. None for texts without intents.
        wer_interval: 95 % interval of ``wer`` by bootstrap over speakers; None of one speaker.
        intent_interval: the same of ``intent_accuracy``.
    """

    utterances: int
    words: int
    wer: float
    cer: float
    ser: float
    intent_accuracy: float | None = None
    wer_interval: tuple[float, float] | None = None
    intent_interval: tuple[float, float] | None = None


def score(
    reference: Mapping[str, str],
    hypothesis: Mapping[str, str],
    intent: bool,
    speakers: Mapping[str, str] | None = None,
) -> AsrScores:
    """Score texts by utterance; with ``intent`` the first word of each is one.

    Args:
        reference: texts by utterance.
        hypothesis: the same.
        intent: whether texts begin with one.
        speakers: by utterance; None: each utterance has its own.

    Raises:
        DataError: different utterances, none, no speaker of one, or no word in any reference.
    """
    if only := sorted(reference.keys() ^ hypothesis.keys()):
        raise DataError(
            f"expected a hypothesis for each reference, found {len(only)} utterances of one alone, "
            f"such as {only[0]}; decode the whole set again"
        )
    pairs = [(text, hypothesis[utterance]) for utterance, text in reference.items()]
    if speakers is None:
        speakers = {utterance: utterance for utterance in reference}
    if unknown := sorted(reference.keys() - speakers.keys()):
        raise DataError(f"expected the speaker of each utterance, found none of {unknown[0]}")
    names = [speakers[utterance] for utterance in reference]
    accuracy = intents = None
    if intent:
        split = [tuple(map(_split_intent, pair)) for pair in pairs]
        right = [int(ours[0] == theirs[0]) for ours, theirs in split]
        accuracy = sum(right) / max(1, len(right))
        intents = _interval(right, [1] * len(right), names)
        pairs = [(ours[1], theirs[1]) for ours, theirs in split]
    words = [[text.split() for text in pair] for pair in pairs]
    characters = [[" ".join(each) for each in pair] for pair in words]
    errors, lengths = _edits(words), [len(ours) for ours, _ in words]
    total = sum(lengths)
    if not total:
        raise DataError("expected words in the references, found none; is it the right file?")
    return AsrScores(
        utterances=len(pairs),
        words=total,
        wer=sum(errors) / total,
        cer=sum(_edits(characters)) / sum(len(ours) for ours, _ in characters),
        ser=sum(ours != theirs for ours, theirs in words) / len(pairs),
        intent_accuracy=accuracy,
        wer_interval=_interval(errors, lengths, names),
        intent_interval=intents,
    )


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
    """Read what :func:`write_scores` wrote.

    Raises:
        ConfigError: no such file, or another one.
    """
    return read_typed(AsrScores, read_json(path), path)


def _split_intent(text: str) -> tuple[str, str]:
    intent, *rest = text.split(None, 1) or [""]
    return intent, rest[0] if rest else ""


def _edits(pairs: Sequence[Sequence[Sequence[str]]]) -> list[int]:
    return [editdistance.eval(ours, theirs) for ours, theirs in pairs]


def _interval(
    parts: Sequence[int], wholes: Sequence[int], speakers: Sequence[str]
) -> tuple[float, float] | None:
    if len(set(speakers)) < 2:
        return None
    return rate_interval(list(zip(parts, wholes, strict=True)), groups=speakers)
