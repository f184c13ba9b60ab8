"""Speaker verification: how well embeddings tell voices apart, in pairs of short crops."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from espnet_prune.data.audio import SAMPLE_RATE, open_audio
from espnet_prune.data.tables import DataError, read_table
from espnet_prune.diarization.embedding.utterances import (
    UtteranceEmbedder,
    read_samples,
    read_whole_utterances,
)
from espnet_prune.progress import progress
from espnet_prune.scoring.significance import Interval, interval

_ADULT = 18  # years


class Crop(NamedTuple):
    """The middle of an utterance.

    Attributes:
        audio: file of the utterance, 16 kHz, mono.
        speaker: who speaks.
        group: sex and age group of the speaker, as far as the data tell; else empty.
    """

    audio: str
    speaker: str
    group: tuple[object, ...]


@dataclass(frozen=True)
class Pairs:
    """All pairs of crops by distinct names.

    Attributes:
        scores: ``(P,)`` cosine similarities.
        first, second: ``(P,)`` indices of the speakers.
    """

    scores: NDArray[np.float32]
    first: NDArray[np.int64]
    second: NDArray[np.int64]

    @property
    def same(self) -> NDArray[np.bool_]:
        """``(P,)`` which are of one speaker."""
        return self.first == self.second


def choose_crops(folder: Path, seconds: float, per_speaker: int, seed: int) -> list[Crop]:
    """Some utterances of each speaker, of those that are ``seconds`` long or longer.

    Args:
        folder: Kaldi-style data directory, an audio file per utterance; ``spk2gender`` and
            ``spk2age`` (years) make groups where they are.
        seconds: of a crop.
        per_speaker: at most, drawn by ``seed``.
        seed: of the choice.

    Raises:
        DataError: a file is missing or damaged, or no two crops are of one speaker, or all are.
    """
    data = read_whole_utterances(folder)
    long_enough: dict[str, list[str]] = {}
    for key, path in sorted(data.wavs.items()):
        with open_audio(path) as audio:
            if audio.frames >= round(seconds * SAMPLE_RATE):
                long_enough.setdefault(data.speakers[key], []).append(path)
    genders, ages = (_optional(folder / name) for name in ("spk2gender", "spk2age"))
    generator = random.Random(seed)
    crops = [
        Crop(path, speaker, _group(genders.get(speaker), ages.get(speaker)))
        for speaker, paths in sorted(long_enough.items())
        for path in generator.sample(paths, min(per_speaker, len(paths)))
    ]
    speakers = {crop.speaker for crop in crops}
    if not 2 <= len(speakers) < len(crops):
        raise DataError(
            f"{folder}: expected two utterances of {seconds:g} s or more of one speaker and one of "
            f"another, found {len(crops)} of {len(speakers)} speaker(s)"
        )
    return crops


def embed_crops(
    embed: UtteranceEmbedder, crops: Sequence[Crop], seconds: float
) -> NDArray[np.float32]:
    """The embeddings of the crops, of length 1: ``(N, E)``.

    As in diarization, the encoder hears what is around a crop, here the whole utterance: hidden
    states may tell where in its input a frame lies, and what they pool begins anywhere.

    Raises:
        DataError: an audio file is damaged.
    """
    size = round(seconds * SAMPLE_RATE)
    rows = []
    for crop in progress(crops, "voices"):
        samples = read_samples(crop.audio)
        rows.append(embed(samples, (len(samples) - size) // 2, size))
    embeddings = torch.stack(rows).numpy()
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def compare_pairs(embeddings: NDArray[np.float32], crops: Sequence[Crop]) -> tuple[Pairs, Pairs]:
    """All pairs of crops, and those of them whose speakers are of one group.

    Args:
        embeddings: ``(N, E)`` of length 1.
        crops: N of them.
    """
    _, speakers = np.unique([crop.speaker for crop in crops], return_inverse=True)
    _, groups = np.unique([repr(crop.group) for crop in crops], return_inverse=True)
    a, b = np.triu_indices(len(crops), 1)
    scores = (embeddings @ embeddings.T)[a, b]
    alike = groups[a] == groups[b]
    return (
        Pairs(scores, speakers[a], speakers[b]),
        Pairs(scores[alike], speakers[a][alike], speakers[b][alike]),
    )


def equal_error_rate(pairs: Pairs, weights: NDArray[np.int64] | None = None) -> float:
    """The rate at which as many pairs of one speaker are refused as others are accepted.

    Args:
        pairs: of one speaker and of two.
        weights: ``(P,)`` how often each counts.
    """
    from sklearn.metrics import det_curve

    accepted, refused, _ = det_curve(pairs.same, pairs.scores, sample_weight=weights)
    nearest = np.abs(accepted - refused).argmin()
    return float(accepted[nearest] + refused[nearest]) / 2


def rate_interval(pairs: Pairs, resamples: int, seed: int) -> Interval:
    """The 95 % interval of the equal error rate, of resampled speakers.

    A pair of two speakers counts as often as both were drawn together, one of a single speaker as
    often as he was.
    """
    count = int(max(pairs.first.max(), pairs.second.max())) + 1
    generator = np.random.default_rng(seed)
    times = generator.multinomial(count, [1 / count] * count, size=resamples)
    rates = []
    for each in progress(times, "resamples"):
        weights = each[pairs.first] * np.where(pairs.same, 1, each[pairs.second])
        if weights[pairs.same].any() and weights[~pairs.same].any():
            rates.append(equal_error_rate(pairs, weights))
    return interval(np.array(rates), count)


def _optional(path: Path) -> dict[str, str]:
    def parse(fields: list[str]) -> tuple[str, str]:
        if len(fields) != 2:
            raise ValueError(f"expected a speaker and a value, found {' '.join(fields)!r}")
        return fields[0], fields[1]

    return dict(read_table(path, parse)) if path.is_file() else {}


def _group(gender: str | None, age: str | None) -> tuple[object, ...]:
    return gender, int(age) < _ADULT if age and age.isdigit() else None
