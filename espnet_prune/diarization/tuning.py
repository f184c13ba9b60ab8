"""Grid search of inference settings on a development set: local model once, clustering often."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from espnet_prune.data.audio import AudioStream
from espnet_prune.data.meetings import DataDir
from espnet_prune.data.rttm import Turn
from espnet_prune.data.tables import DataError
from espnet_prune.diarization.inference_config import JOINING, InferenceConfig
from espnet_prune.diarization.pipeline import Diarizer
from espnet_prune.progress import progress
from espnet_prune.scoring.der import Score, score

DiarizeEach = Callable[[str, str], Iterable[list[Turn]]]
"""Of an audio file and the name of its recording, the turns after each of some configurations."""


class Trial(NamedTuple):
    """One point of the grid, and the score of the development set there."""

    values: Mapping[str, Any]
    score: Score


def grid_points(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """All combinations of a grid's values; those of the last parameter change fastest."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def tune(
    prepare: Callable[[Sequence[InferenceConfig]], DiarizeEach],
    points: Sequence[Mapping[str, Any]],
    configs: Sequence[InferenceConfig],
    data: DataDir,
    collar: float = 0.0,
    skip_overlap: bool = False,
) -> list[Trial]:
    """Score every point of a grid on the recordings that a development set scores.

    ``configs`` are the whole configurations at the ``points``. ``prepare`` makes what diarizes
    after each of some that differ in ``JOINING`` alone, as :func:`local_once` does.

    Raises:
        DataError: for audio that cannot be read, or a set without speech.
    """
    scored = _scored(data)
    groups = _by_local_settings(configs)

    def work() -> Iterator[tuple[list[int], DiarizeEach, str]]:
        for group in groups:
            diarize = prepare([configs[index] for index in group])
            yield from ((group, diarize, recording) for recording in scored)

    hypotheses: list[dict[str, list[Turn]]] = [{} for _ in configs]
    for group, diarize, recording in progress(work(), "tune", len(groups) * len(scored)):
        for index, turns in zip(group, diarize(data.wavs[recording], recording), strict=True):
            hypotheses[index][recording] = turns
    trials = [
        Trial(values, score(data.turns, found, data.uem, collar, skip_overlap).total)
        for values, found in zip(points, hypotheses, strict=True)
    ]
    if any(math.isnan(trial.score.der) for trial in trials):
        raise DataError(
            f"{data.path}: expected scored speech in a development set, found none; "
            "check its rttm and uem"
        )
    return trials


def require_audio(data: DataDir) -> None:
    """Find out, before long work begins, whether the recordings to be scored can be opened.

    Raises:
        DataError: names all that cannot.
    """
    problems: list[str] = []
    for recording in _scored(data):
        try:
            with AudioStream(data.wavs[recording]):
                pass
        except DataError as error:
            problems += error.args
    if problems:
        raise DataError(*problems)


def _scored(data: DataDir) -> list[str]:
    return sorted(data.wavs if data.uem is None else data.uem)


def best(trials: Sequence[Trial]) -> Trial:
    """The trial of the least DER, of equals the first."""
    return min(trials, key=lambda trial: trial.score.der)


def local_once(diarizer: Diarizer, configs: Sequence[InferenceConfig]) -> DiarizeEach:
    """Diarize with the model of ``diarizer``, one pass of which serves all configurations."""
    first = Diarizer(diarizer.model, configs[0], diarizer.local.networks.device)
    joining = [first.with_joining(config) for config in configs]

    def diarize(path: str, recording: str) -> Iterator[list[Turn]]:
        with AudioStream(path) as audio:
            local = first.local(audio)
        return (each.join(local, recording).turns for each in joining)

    return diarize


def _by_local_settings(configs: Sequence[InferenceConfig]) -> list[list[int]]:
    """Indices of the configurations that share one pass of the local model, group by group."""
    groups: dict[str, list[int]] = {}
    for index, config in enumerate(configs):
        local = {name: value for name, value in asdict(config).items() if name not in JOINING}
        groups.setdefault(json.dumps(local, default=str), []).append(index)
    return list(groups.values())
