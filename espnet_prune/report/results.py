"""The figures of a recipe: size, speed and error rates of the dense and the pruned model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from espnet_prune.diarization import DataError
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.pruning import count_macs
from espnet_prune.report.environment import Environment, this_environment
from espnet_prune.report.history import read_history
from espnet_prune.report.inputs import Inputs, ModelFiles
from espnet_prune.report.timing import benchmark_device, median_seconds
from espnet_prune.ssl import SSLConfig
from espnet_prune.ssl.config_files import read_json
from espnet_prune.ssl.files import atomic_write
from espnet_prune.ssl.inference import inference_form

_RATES = ("der", "miss", "false_alarm", "confusion", "jer")


@dataclass(frozen=True)
class ModelResults:
    """Figures of one model.

    Attributes:
        params: parameters of the SSL encoder.
        macs: multiply-accumulates of the SSL encoder for 1 s of audio.
        seconds: time that the SSL encoder's inference form takes for 8 s of audio.
        model_params: parameters of the whole diarization model.
        der, miss, false_alarm, confusion, jer: fractions; None for a set without speech.
        der_by_precision: DER of inference in other precisions, by their names.
    """

    params: int
    macs: int
    seconds: float
    model_params: int
    der: float | None
    miss: float | None
    false_alarm: float | None
    confusion: float | None
    jer: float | None
    der_by_precision: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """Figures of a whole recipe; ``results.json`` has the same keys.

    Attributes:
        set: name of the test set.
        seed: of data generation and of every training.
        sparsity: share of the dense SSL encoder's parameters that pruning removed.
        speedup: time of the dense SSL encoder over that of the pruned one.
        dense, pruned: figures of the two models.
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
    dense = _model_results(models[0], seconds[0], inputs.dense)
    pruned = _model_results(models[1], seconds[1], inputs.pruned)
    trainings = (inputs.dense.checkpoint, inputs.prune, inputs.distill, inputs.pruned.checkpoint)
    return Results(
        set=inputs.dense.scores.stem,
        seed=seed,
        sparsity=1 - pruned.params / dense.params,
        speedup=dense.seconds / pruned.seconds,
        dense=dense,
        pruned=pruned,
        train_seconds={
            path.parent.name: round(read_history(path).seconds, 1) for path in trainings if path
        },
        device=device.type,
        threads=torch.get_num_threads(),
        environment=this_environment(),
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
    if not all(
        isinstance(each, dict) and all(_is_rate(each.get(r, "")) for r in _RATES) for each in listed
    ):
        raise DataError(
            f"{path}: expected the output of score_der --json, with {', '.join(_RATES)} of all and "
            "of each of its recordings, found something else; run stage 11 again"
        )
    return scores


def _is_rate(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def encoder_config(model: Path) -> SSLConfig:
    """The configuration of the SSL encoder of a diarization model's folder."""
    return DiarizationModel.from_pretrained(model).encoder.config


def _model_results(model: DiarizationModel, seconds: float, files: ModelFiles) -> ModelResults:
    scores = read_scores(files.scores)
    return ModelResults(
        params=sum(parameter.numel() for parameter in model.encoder.parameters()),
        macs=count_macs(model.encoder.config, 1.0).total,
        seconds=seconds,
        model_params=sum(parameter.numel() for parameter in model.parameters()),
        **{rate: scores[rate] for rate in _RATES},
        der_by_precision={name: read_scores(p)["der"] for name, p in files.precisions.items()},
    )
