"""The figures of a recipe: size, speed and error rates of the dense and the pruned model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from espnet_prune.data import DataError
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import SSLConfig
from espnet_prune.inference import inference_form
from espnet_prune.pruning import count_macs
from espnet_prune.report.environment import Environment, this_environment
from espnet_prune.report.history import History, read_history
from espnet_prune.report.inputs import Inputs, ModelFiles
from espnet_prune.report.timing import benchmark_device, median_seconds
from espnet_prune.storage.config_files import read_json
from espnet_prune.storage.files import atomic_write

_RATES = ("der", "miss", "false_alarm", "confusion", "jer")


@dataclass(frozen=True)
class ModelResults:
    """Figures of one model.

    Attributes:
        params: parameters of the SSL encoder.
        macs: multiply-accumulates of the SSL encoder for 1 s of audio.
        seconds: time that the SSL encoder's inference form takes for 8 s of audio.
        model_params: parameters of the whole diarization model.
        steps: batches of all trainings that led to it, one after the other.
        train_seconds: their time, validation included.
        der, miss, false_alarm, confusion, jer: fractions; None for a set without speech.
        der_low, der_high: 95 % interval of the DER; None where recordings are too few for one.
        der_by_variant: DER of inference by other configurations, by their names.
    """

    params: int
    macs: int
    seconds: float
    model_params: int
    steps: int
    train_seconds: float
    der: float | None
    miss: float | None
    false_alarm: float | None
    confusion: float | None
    jer: float | None
    der_low: float | None = None
    der_high: float | None = None
    der_by_variant: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """DER of the pruned less that of the dense model, and its 95 % interval: fractions."""

    estimate: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Results:
    """Figures of a whole recipe; ``results.json`` has the same keys.

    Attributes:
        set: name of the test set.
        seed: of data generation and of every training.
        sparsity: share of the dense SSL encoder's parameters that pruning removed.
        speedup: time of the dense SSL encoder over that of the pruned one.
        dense, pruned: figures of the two models.
        dense_continued: of the dense model that was trained on, where there is one.
        difference: from dense to pruned, by the paired bootstrap over recordings.
        train_seconds: time of each training, by the name of its folder.
        device: what the encoders were timed on.
        threads: CPU threads of PyTorch.
        environment: date, versions and commit.
    """

    set: str
    seed: int
    sparsity: float
    speedup: float
    dense: ModelResults
    pruned: ModelResults
    train_seconds: dict[str, float]
    device: str
    threads: int
    environment: Environment
    difference: Difference
    dense_continued: ModelResults | None = None

    @property
    def models(self) -> dict[str, ModelResults]:
        """The models by their names, as tables show them."""
        models = {"dense": self.dense, "pruned": self.pruned}
        if self.dense_continued:
            models["dense, trained on"] = self.dense_continued
        return models


def gather(inputs: Inputs, seed: int) -> Results:
    """Read, count and time everything.

    Raises:
        CheckpointError: a model or a checkpoint is damaged.
        DataError: a file of scores is damaged.
    """
    models = [DiarizationModel.from_pretrained(m.model) for m in (inputs.dense, inputs.pruned)]
    device = benchmark_device()
    forms = [inference_form(model.encoder.to(device)) for model in models]
    seconds = median_seconds(forms[0], forms[1])
    first = read_history(inputs.dense.checkpoint)
    between = [read_history(path) for path in (inputs.prune, inputs.distill) if path]
    last = read_history(inputs.pruned.checkpoint)
    dense = _model_results(models[0], seconds[0], inputs.dense, [first])
    pruned = _model_results(models[1], seconds[1], inputs.pruned, [first, *between, last])
    histories, continued = [first, *between, last], None
    if inputs.dense_continued:
        histories.append(read_history(inputs.dense_continued.checkpoint))
        continued = _model_results(
            models[0], seconds[0], inputs.dense_continued, [first, histories[-1]]
        )
    return Results(
        set=inputs.dense.scores.stem,
        seed=seed,
        sparsity=1 - pruned.params / dense.params,
        speedup=dense.seconds / pruned.seconds,
        dense=dense,
        pruned=pruned,
        train_seconds={each.path.parent.name: round(each.seconds, 1) for each in histories},
        device=device.type,
        threads=torch.get_num_threads(),
        environment=this_environment(),
        difference=_read_difference(inputs.difference),
        dense_continued=continued,
    )


def write_results(results: Results, path: Path) -> None:
    """Write ``results.json`` atomically."""
    atomic_write(path, json.dumps(asdict(results), indent=2) + "\n")


def read_scores(path: Path) -> dict[str, Any]:
    """Read the output of ``score_der --json``.

    Raises:
        ConfigError: the file is missing, or no JSON.
        DataError: it is another one.
    """
    scores = read_json(path)
    recordings = scores.get("recordings")
    listed = [scores, *(recordings.values() if isinstance(recordings, dict) else [None])]
    ends = [scores.get("der_low"), scores.get("der_high")]
    if not _are_rates(ends) or not all(map(_is_scored, listed)):
        raise DataError(
            f"{path}: expected the output of score_der --json, with {', '.join(_RATES)} of all and "
            "of each of its recordings, found something else; run stage 11 again"
        )
    return scores


def _read_difference(path: Path) -> Difference:
    """Read the output of ``compare_der --json``.

    Raises:
        ConfigError: the file is missing, or no JSON.
        DataError: it is another one.
    """
    found = read_json(path)
    values = [found.get(name, "") for name in ("difference", "low", "high")]
    if not _are_rates(values) or values[0] is None:
        raise DataError(
            f"{path}: expected the output of compare_der --json, found something else; run stage "
            "11 again"
        )
    return Difference(*values)


def _is_scored(scores: object) -> bool:
    """Whether these are scores of one recording, or of all; none has a DER without its parts."""
    if not isinstance(scores, dict):
        return False
    values = [scores.get(name, "") for name in (*_RATES, "speech")]
    parts = [value is None for value in values[:4]]  # JER counts speakers, not time
    return _are_rates(values) and all(parts) == any(parts)


def _are_rates(values: Sequence[object]) -> bool:
    return all(
        value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        for value in values
    )


def encoder_config(model: Path) -> SSLConfig:
    """The configuration of the SSL encoder of a diarization model's folder."""
    return DiarizationModel.from_pretrained(model).encoder.config


def _model_results(
    model: DiarizationModel, seconds: float, files: ModelFiles, trainings: Sequence[History]
) -> ModelResults:
    scores = read_scores(files.scores)
    return ModelResults(
        params=sum(parameter.numel() for parameter in model.encoder.parameters()),
        macs=count_macs(model.encoder.config, 1.0).total,
        seconds=seconds,
        model_params=sum(parameter.numel() for parameter in model.parameters()),
        steps=sum(training.steps for training in trainings),
        train_seconds=round(sum(training.seconds for training in trainings), 1),
        **{rate: scores[rate] for rate in _RATES},
        der_low=scores.get("der_low"),
        der_high=scores.get("der_high"),
        der_by_variant={name: read_scores(p)["der"] for name, p in files.variants.items()},
    )
