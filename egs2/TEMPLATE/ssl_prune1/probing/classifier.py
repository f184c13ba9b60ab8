"""Linear probes: how much of a label the frozen states of an encoder tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import editdistance
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from egs2.TEMPLATE.ssl_prune1.probing.recognizer import train_recognizer
from espnet_prune.data.audio import open_audio, parse_wav
from espnet_prune.data.tables import DataError, read_table
from espnet_prune.encoder import SSLEncoder
from espnet_prune.inference import inference_form
from espnet_prune.progress import progress
from espnet_prune.scoring.significance import Interval, rate_interval
from espnet_prune.scoring.wer import by_group

CHARACTERS = "characters"
_FOLDS = 5


@dataclass(frozen=True)
class Probe:
    """A classification of whole utterances, or the recognition of their characters.

    Attributes:
        name: what is told apart, e.g. ``speaker``.
        labels: file of a data directory, of which the first word after the key is the label:
            ``utt2spk``, or a ``text`` that begins with an intent. ``characters`` stands for those
            of the whole ``text``, which are recognised instead.
        train: data directory with ``wav.scp``, ``utt2spk`` and that file.
        test: the same; None: five folds of ``train``, stratified by label.
    """

    name: str
    labels: str
    train: Path
    test: Path | None = None


@dataclass(frozen=True)
class ProbeScore:
    """What came out right, of ``classes`` labels.

    Attributes:
        correct: utterances with the right label; of characters, ``total`` less the edits.
        total: utterances, or the characters of their texts.
        classes: labels, or kinds of characters.
        interval: 95 % interval of the accuracy by bootstrap over speakers.
        units: ``(errors, total)`` of each speaker.
    """

    correct: int
    total: int
    classes: int
    interval: Interval
    units: Mapping[str, tuple[int, int]]

    @property
    def accuracy(self) -> float:
        """A fraction."""
        return self.correct / self.total


def run_probe(
    probe: Probe, encoders: Mapping[str, SSLEncoder], seed: int = 0
) -> dict[str, ProbeScore]:
    """The score of each of the ``encoders``, in evaluation mode, by its name.

    Every hidden state's mean over frames, standardised, feeds one logistic regression: nothing is
    drawn at random but the folds, by ``seed``. Characters are recognised by one linear map from the
    states of a frame, trained by CTC from a start and in an order of that ``seed``.

    Raises:
        DataError: a file of the data is missing or damaged, or there is nothing to tell apart.
    """
    speakers = list(_read(probe.test or probe.train, "utt2spk").values())
    if probe.labels == CHARACTERS:
        return _run_recognition(probe, encoders, speakers, seed)
    train = _read(probe.train, probe.labels)
    test = _read(probe.test, probe.labels) if probe.test else None
    labels = sorted(set(train.values()))
    if len(labels) < 2:
        raise DataError(f"{probe.train}/{probe.labels}: expected two labels, found {labels}")
    if test and (unknown := sorted(set(test.values()) - set(labels))):
        raise DataError(
            f"{probe.test}/{probe.labels}: expected labels of {probe.train}, found {unknown[:5]}; "
            "leave the second folder out to cross-validate within the first"
        )
    rare = [label for label, count in Counter(train.values()).items() if count < _FOLDS]
    if not test and rare:
        raise DataError(
            f"{probe.train}/{probe.labels}: expected {_FOLDS} utterances of each label for as many "
            f"folds, found fewer of {sorted(rare)[:5]}"
        )
    return {
        name: _score(encoder, train, test, speakers, seed) for name, encoder in encoders.items()
    }


def mean_states(encoder: SSLEncoder, paths: Sequence[str]) -> NDArray[np.float32]:
    """Each utterance's hidden states, averaged over frames and side by side.

    Args:
        encoder: N layers of width D.
        paths: U audio files of 16 kHz, mono.

    Returns:
        ``(U, (N + 1) * D)``.

    Raises:
        DataError: a file is missing or damaged.
    """
    return np.stack([states.mean(0).numpy() for states in frame_states(encoder, paths)])


def frame_states(encoder: SSLEncoder, paths: Sequence[str]) -> Iterator[Tensor]:
    """Each utterance's hidden states, ``(T, (N + 1) * D)``; see :func:`mean_states`."""
    form = inference_form(encoder)
    for path in progress(paths, "hidden states"):
        with open_audio(path) as audio:
            speech = torch.from_numpy(audio.read(dtype="float32"))
        with torch.no_grad():
            states, _ = form.stream(speech[None])
            yield torch.cat([state[0] for state in states], dim=-1)


def _read(folder: Path, labels: str) -> dict[str, str]:
    """The label of each audio file of ``folder``, by the file's path."""

    def parse(fields: list[str]) -> tuple[str, str]:
        return fields[0], " ".join(fields[1:]) if labels == CHARACTERS else _first_word(fields)

    wavs = dict(read_table(folder / "wav.scp", parse_wav))
    label_of = dict(read_table(folder / ("text" if labels == CHARACTERS else labels), parse))
    if wavs.keys() != label_of.keys():
        alone = sorted(wavs.keys() ^ label_of.keys())
        raise DataError(
            f"{folder}: expected the same utterances in wav.scp and {labels}, found {alone[:5]} in "
            "one of them alone"
        )
    return {path: label_of[name] for name, path in wavs.items()}


def _first_word(fields: list[str]) -> str:
    if len(fields) < 2:
        raise ValueError(f"expected a label after the utterance, found {' '.join(fields)!r}")
    return fields[1]


def _score(
    encoder: SSLEncoder,
    train: Mapping[str, str],
    test: Mapping[str, str] | None,
    speakers: Sequence[str],
    seed: int,
) -> ProbeScore:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    states, expected = mean_states(encoder, list(train)), list(train.values())
    if test:
        classifier.fit(states, expected)
        found, expected = classifier.predict(mean_states(encoder, list(test))), list(test.values())
    else:
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
        found = cross_val_predict(classifier, states, expected, cv=folds)
    correct = (np.asarray(found) == np.asarray(expected)).astype(int).tolist()
    return _probe_score(correct, [1] * len(expected), len(set(train.values())), speakers)


def _probe_score(
    correct: Sequence[int], total: Sequence[int], classes: int, speakers: Sequence[str]
) -> ProbeScore:
    counts = list(zip(correct, total, strict=True))
    wrong = [whole - right for right, whole in counts]
    interval = rate_interval(counts, groups=speakers)
    units = by_group(wrong, total, speakers)
    return ProbeScore(sum(correct), sum(total), classes, interval, units)


def _run_recognition(
    probe: Probe, encoders: Mapping[str, SSLEncoder], speakers: Sequence[str], seed: int
) -> dict[str, ProbeScore]:
    if probe.test is None:
        raise DataError(f"expected a second folder to recognise {probe.name} in, found none")
    train, test = _read(probe.train, CHARACTERS), _read(probe.test, CHARACTERS)
    symbols = sorted(set("".join(train.values())))
    scores = {}
    for name, encoder in encoders.items():
        states = [frames.half() for frames in frame_states(encoder, list(train))]
        recognise = train_recognizer(states, list(train.values()), symbols, seed)
        texts = map(recognise, frame_states(encoder, list(test)))
        edits = [editdistance.eval(*pair) for pair in zip(texts, test.values(), strict=True)]
        total = [len(text) for text in test.values()]
        correct = [whole - wrong for whole, wrong in zip(total, edits, strict=True)]
        scores[name] = _probe_score(correct, total, len(symbols), speakers)
    return scores
