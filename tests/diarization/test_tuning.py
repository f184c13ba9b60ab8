"""The grid search finds what trying everything finds, with the local model run once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from espnet_prune.data import DataDir, DataError, Region, Turn
from espnet_prune.diarization.inference_config import InferenceConfig
from espnet_prune.diarization.tuning import DiarizeEach, Trial, best, grid_points, tune
from espnet_prune.scoring.der import score

TURNS = {name: [Turn(name, 0, 8, "A"), Turn(name, 8, 4, "B")] for name in ("a", "b", "c")}
UEM = {name: [Region(name, 0, 12)] for name in ("a", "b")}


def data(turns: dict[str, list[Turn]] = TURNS, uem: Any = UEM) -> DataDir:
    return DataDir(Path("dev"), {name: f"{name}.wav" for name in TURNS}, turns, uem)


heard: Counter[tuple[float, int, str]] = Counter()


def local_model(config: InferenceConfig, path: str) -> float:
    """The change of speakers, found as late as a step is long."""
    heard[config.step, config.median, path] += 1
    return min(8 + config.step, 11.5)


def join(change: float, recording: str, config: InferenceConfig) -> list[Turn]:
    """One speaker if the threshold is high."""
    second = "one" if config.threshold > 0.5 else "two"
    return [Turn(recording, 0, change, "one"), Turn(recording, change, 12 - change, second)]


def prepare(configs: Sequence[InferenceConfig]) -> DiarizeEach:
    def diarize(path: str, recording: str) -> Iterator[list[Turn]]:
        change = local_model(configs[0], path)
        return (join(change, recording, config) for config in configs)

    return diarize


@pytest.fixture(autouse=True)
def fresh() -> None:
    heard.clear()


def run(grid: dict[str, list[Any]], data_dir: DataDir, **options: Any) -> list[Trial]:
    points = grid_points(grid)
    configs = [InferenceConfig(**point) for point in points]
    return tune(prepare, points, configs, data_dir, **options)


def test_grid_order() -> None:
    points = grid_points({"a": [1, 2], "b": ["x", "y"]})
    assert [tuple(point.values()) for point in points] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    assert list(points[0]) == ["a", "b"]


def test_same_as_trying_everything() -> None:
    grid = {"threshold": [0.2, 0.8], "step": [1.0, 2.0], "min_share": [0.1, 0.2]}
    trials = run(grid, data())
    assert [trial.values for trial in trials] == grid_points(grid)
    for trial in trials:
        config = InferenceConfig(**trial.values)
        found = {name: join(local_model(config, name), name, config) for name in UEM}
        assert trial.score == score(TURNS, found, UEM).total
    assert len({trial.score.der for trial in trials}) == 3


def test_local_model_runs_once_per_recording_and_local_setting() -> None:
    run({"threshold": [0.1, 0.2, 0.9], "step": [1.0, 2.0], "num_speakers": [None, 2]}, data())
    expected = {(step, 11, f"{name}.wav") for step in (1.0, 2.0) for name in UEM}
    assert heard == dict.fromkeys(expected, 1)
    heard.clear()
    run({"median": [5, 11]}, data())
    assert heard == {(2.0, m, f"{name}.wav"): 1 for m in (5, 11) for name in UEM}


def test_without_uem_all_recordings() -> None:
    assert run({"threshold": [0.2]}, data(uem=None))[0].score.speech == 36


def test_best_is_the_first_of_equals() -> None:
    trials = run({"threshold": [0.9, 0.3, 0.1], "step": [2.0, 1.0]}, data())
    chosen = best(trials)
    assert chosen.values == {"threshold": 0.3, "step": 1.0}
    assert chosen.score.der == pytest.approx(1 / 12)
    assert chosen.score.der == trials[5].score.der


def test_options_of_der() -> None:
    plain, collar = (run({"step": [0.2]}, data(), collar=width)[0].score.der for width in (0, 0.25))
    assert plain > 0 == collar


def test_no_speech() -> None:
    with pytest.raises(DataError, match="expected scored speech in a development set, found none"):
        run({"threshold": [0.2]}, data(turns={name: [] for name in TURNS}))
