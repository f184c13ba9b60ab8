"""The figures of a speech recipe: size, MACs, error rates and training time of its models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from espnet_prune.data import DataError
from espnet_prune.encoder import SSLEncoder
from espnet_prune.encoder.typed import read_typed
from espnet_prune.pruning import count_macs
from espnet_prune.report.environment import this_environment
from espnet_prune.report.history import read_history
from espnet_prune.report.markdown import markdown_table, percent
from espnet_prune.scoring.wer import AsrScores, read_scores
from espnet_prune.storage.config_files import read_json
from espnet_prune.storage.files import atomic_write


@dataclass(frozen=True)
class AsrModelResults:
    """Figures of one model.

    Attributes:
        params: parameters of the SSL encoder that are not zero.
        reference_seconds: the input length at which MACs are counted.
        front_end_macs, macs: multiply-accumulates of the encoder's front end, and of all of it.
        train_seconds: wall-clock of each training that led to the model, by its folder's name.
        scores: by test set.
    """

    params: int
    reference_seconds: float
    front_end_macs: int
    macs: int
    train_seconds: Mapping[str, float]
    scores: Mapping[str, AsrScores]


def gather(
    encoder: Path, trainings: Sequence[Path], decoded: Path, sets: Sequence[str], seconds: float
) -> AsrModelResults:
    """Count, and read what the recipe's stages wrote of one model.

    Args:
        encoder: folder of its SSL encoder.
        trainings: folders of ESPnet trainings, with ``checkpoint.pth``.
        decoded: folder of ``<set>.json`` of score_asr.
        sets: names of the test sets.
        seconds: the input length at which MACs are counted.

    Raises:
        CheckpointError: a file of a model is damaged.
        DataError: a file of scores is missing.
    """
    loaded = SSLEncoder.from_pretrained(encoder)
    macs = count_macs(loaded.config, seconds)
    return AsrModelResults(
        params=sum(int(parameter.count_nonzero()) for parameter in loaded.parameters()),
        reference_seconds=seconds,
        front_end_macs=macs.front_end,
        macs=macs.total,
        train_seconds={
            path.name: round(read_history(path / "checkpoint.pth").seconds, 1) for path in trainings
        },
        scores={name: read_scores(decoded / f"{name}.json") for name in sets},
    )


def write_results(results: AsrModelResults, path: Path) -> None:
    """Write one model's figures as JSON, atomically."""
    atomic_write(path, json.dumps(asdict(results), indent=1) + "\n")


def read_results(path: Path) -> AsrModelResults:
    """Read what :func:`write_results` wrote.

    Raises:
        ConfigError: no such file, or another one.
    """
    return read_typed(AsrModelResults, read_json(path), path)


def render_table(models: Mapping[str, AsrModelResults]) -> str:
    """A Markdown table with one column per model; the first one is the dense model.

    Raises:
        DataError: the models have scores of different test sets, or MACs of different lengths.
    """
    dense, *others = models.values()
    if any(other.scores.keys() != dense.scores.keys() for other in others):
        raise DataError("expected the same test sets of every model, found different ones")
    seconds = dense.reference_seconds
    if any(other.reference_seconds != seconds for other in others):
        raise DataError(f"expected MACs of {seconds:g} s of every model; report the others again")
    columns = models.values()
    rows = [
        ["parameters (M)", *(f"{m.params / 1e6:.3f}" for m in columns)],
        ["sparsity (%)", *(f"{100 * (1 - m.params / dense.params):.2f}" for m in columns)],
        [f"MACs of {seconds:g} s (G)", *(f"{m.macs / 1e9:.3f}" for m in columns)],
        ["of these, front end (G)", *(f"{m.front_end_macs / 1e9:.3f}" for m in columns)],
        ["MACs saved (%)", *(f"{100 * (1 - m.macs / dense.macs):.2f}" for m in columns)],
    ]
    for name, scores in dense.scores.items():
        each = [m.scores[name] for m in columns]
        if scores.intent_accuracy is not None:
            values = [percent(s.intent_accuracy or 0.0, s.intent_interval) for s in each]
            rows.append([f"intent accuracy (%), {name}", *values])
        rows.append([f"WER (%), {name}", *(percent(s.wer, s.wer_interval) for s in each)])
        rows.append([f"CER (%), {name}", *(percent(s.cer) for s in each)])
    rows.append(["training (s)", *(f"{sum(m.train_seconds.values()):.0f}" for m in columns)])
    return "\n".join(markdown_table(["SSL encoder", *models], rows, text=1))


def render_results(models: Mapping[str, AsrModelResults], seed: int) -> str:
    """The whole RESULTS.md: environment, the table, training time by stage."""
    environment = this_environment()
    lines = [
        "# RESULTS",
        "",
        f"- date: `{environment.date}`; python `{environment.python}`, pytorch "
        f"`{environment.torch}`, espnet `{environment.espnet}`",
    ]
    if environment.git_commit:
        lines.append(
            f"- Git hash: `{environment.git_commit}`, commit date `{environment.git_date}`"
        )
    lines.append(f"- Seed: {seed}")
    for name, model in models.items():
        times = ", ".join(f"{stage} {s:.0f} s" for stage, s in model.train_seconds.items())
        lines.append(f"- Training of {name}: {times}")
    return "\n".join([*lines, "", render_table(models), ""])
