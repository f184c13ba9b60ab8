"""The figures of a speech recipe: size, MACs, error rates and training time of its models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet_prune.data import DataError
from espnet_prune.encoder import SSLEncoder
from espnet_prune.environment import this_environment
from espnet_prune.pruning import count_macs
from espnet_prune.report.history import read_history
from espnet_prune.report.table import Measure, Table, percent
from espnet_prune.scoring.wer import AsrScores, read_scores


@dataclass(frozen=True)
class AsrModelResults:
    """Figures of one model; its ``results.json`` has the same keys."""

    params: int  # of the SSL encoder, those that are not zero
    reference_seconds: float  # the input length at which MACs are counted
    front_end_macs: int
    macs: int  # of all of the encoder
    train_seconds: Mapping[str, float]  # of each training that led to it, by its folder's name
    scores: Mapping[str, AsrScores]  # by test set


def gather(
    folder: Path, trainings: Sequence[Path], sets: Sequence[str], seconds: float
) -> AsrModelResults:
    """Count, and read what the recipe's stages wrote of one model.

    Its ``folder`` has ``encoder`` and ``<set>.json`` of score_asr, those of ``trainings`` ESPnet's
    ``checkpoint.pth``; MACs are those of an input of ``seconds``.
    """
    encoder = SSLEncoder.from_pretrained(folder / "encoder")
    macs = count_macs(encoder.config, seconds)
    return AsrModelResults(
        params=sum(int(parameter.count_nonzero()) for parameter in encoder.parameters()),
        reference_seconds=seconds,
        front_end_macs=macs.front_end,
        macs=macs.total,
        train_seconds={
            path.name: round(read_history(path / "checkpoint.pth").seconds, 1) for path in trainings
        },
        scores={name: read_scores(folder / f"{name}.json") for name in sets},
    )


def results_table(models: Mapping[str, AsrModelResults]) -> Table:
    """A table with one column per model; the first one is the dense model.

    Raises:
        DataError: the models have scores of different test sets, or MACs of different lengths.
    """
    dense, *others = models.values()
    if any(other.scores.keys() != dense.scores.keys() for other in others):
        raise DataError("expected the same test sets of every model, found different ones")
    seconds = dense.reference_seconds
    if any(other.reference_seconds != seconds for other in others):
        raise DataError(f"expected MACs of {seconds:g} s of every model; report the others again")
    measures = [
        Measure("params", "parameters (M)", "{:.3f}", 1),
        Measure("sparsity", "sparsity (%)"),
        Measure("macs", f"MACs of {seconds:g} s (G)", "{:.3f}", 1),
        Measure("front_end", "of these, front end (G)", "{:.3f}", 1),
        Measure("saved", "MACs saved (%)"),
    ]
    for name, scores in dense.scores.items():
        if scores.intent_accuracy is not None:
            measures.append(Measure(f"{name} intent", f"intent accuracy (%), {name}"))
        measures.append(Measure(f"{name} wer", f"WER (%), {name}"))
        measures.append(Measure(f"{name} cer", f"CER (%), {name}"))
    measures.append(Measure("training", "training (s)", "{:.0f}", 1))
    records = [(name, _record(model, dense)) for name, model in models.items()]
    return Table.of("SSL encoder", measures, records).turned()


def _record(model: AsrModelResults, dense: AsrModelResults) -> dict[str, float | str]:
    record: dict[str, float | str] = {
        "params": model.params / 1e6,
        "sparsity": 1 - model.params / dense.params,
        "macs": model.macs / 1e9,
        "front_end": model.front_end_macs / 1e9,
        "saved": 1 - model.macs / dense.macs,
        "training": sum(model.train_seconds.values()),
    }
    for name, scores in model.scores.items():
        record[f"{name} intent"] = percent(scores.intent_accuracy or 0.0, scores.intent_interval)
        record[f"{name} wer"] = percent(scores.wer, scores.wer_interval)
        record[f"{name} cer"] = percent(scores.cer)
    return record


def render_results(models: Mapping[str, AsrModelResults], seed: int) -> str:
    """The whole RESULTS.md: environment, the table, training time by stage."""
    lines = ["# RESULTS", "", this_environment().markdown(), f"- Seed: {seed}"]
    for name, model in models.items():
        times = ", ".join(f"{stage} {s:.0f} s" for stage, s in model.train_seconds.items())
        lines.append(f"- Training of {name}: {times}")
    return "\n".join([*lines, "", results_table(models).markdown(), ""])
