"""Results as one HTML file that needs nothing else: tables, plots, and the worst recordings."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from espnet_prune.data import DataError
from espnet_prune.encoder import unit_sizes
from espnet_prune.report.figure import to_png
from espnet_prune.report.history import History, read_history
from espnet_prune.report.inputs import Inputs
from espnet_prune.report.plots import PRUNING, STRUCTURE, TRAINING, draw_recording
from espnet_prune.report.results import Results, encoder_config, read_scores
from espnet_prune.report.rows import (
    DIFFERENCE,
    Cell,
    Row,
    cell,
    cost_rows,
    difference_row,
    percent,
    rate_rows,
)
from espnet_prune.report.timeline_plot import worst_recordings

WORST = 3  # recordings whose timelines are shown
_PARTS = ("miss", "false_alarm", "confusion", "jer")


class _Table(NamedTuple):
    """A table; the first cell of each row is its heading."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]


class _Recording(NamedTuple):
    """A row of the table of recordings."""

    name: str
    cells: list[Cell]


class _Timeline(NamedTuple):
    """Timeline of a recording, as a PNG in base64, and the DER of both models."""

    recording: str
    dense: Cell
    pruned: Cell
    image: str


class _Column(NamedTuple):
    """A statistic of a training, shown as ``scale`` times its value."""

    header: str
    split: str
    statistic: str
    pattern: str = "{:.4f}"
    scale: float = 1


_FINE_TUNING = (
    _Column("loss, training", "train", "loss"),
    _Column("loss, validation", "valid", "loss"),
    _Column("DER, training (%)", "train", "der", "{:.2f}", 100),
    _Column("DER, validation (%)", "valid", "der", "{:.2f}", 100),
)
_DISTILLATION = (
    _Column("distillation loss, training", "train", "loss_distill"),
    _Column("distillation loss, validation", "valid", "loss_distill"),
)
_PRUNING = (
    *_DISTILLATION,
    _Column("expected sparsity (%)", "valid", "sparsity", "{:.2f}", 100),
    _Column("target sparsity (%)", "valid", "target_sparsity", "{:.2f}", 100),
    _Column("λ₁", "valid", "lambda1"),
    _Column("λ₂", "valid", "lambda2"),
)


def render_report(inputs: Inputs, results: Results, images: Path, name: str) -> str:
    """The report of the experiment ``name``; ``images`` is the folder of ``plot_all``.

    Raises:
        CheckpointError: a model or a checkpoint is damaged.
        DataError: a file of scores or turns is damaged, or the models' recordings differ.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("espnet_prune.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rates = f"Error rates on {results.set}, in percent of the reference's speech"
    return environment.get_template("report.html").render(
        name=name,
        results=results,
        key_figures=_key_figures(results),
        cost=_comparison("Size and speed of the SSL encoder", results, cost_rows(results)),
        structure=_structure_tables(inputs),
        structure_image=_base64((images / STRUCTURE).read_bytes()),
        pruning_image=_base64((images / PRUNING).read_bytes()),
        training_image=_base64((images / TRAINING).read_bytes()),
        trainings=_training_tables(inputs),
        rates=_comparison(rates, results, rate_rows(results)),
        difference=_Table(
            "DER of the pruned model less that of the dense one",
            ("", *DIFFERENCE[1:]),
            [difference_row(results)],
        ),
        recordings=_recordings(inputs),
        timelines=_timelines(inputs),
        environment=_environment_table(results),
        times=_time_table(results.train_seconds),
    )


def _key_figures(results: Results) -> list[tuple[str, Cell]]:
    return [
        ("parameters removed", cell(results.sparsity, "{:.1f} %", 100)),
        ("speed-up", cell(results.speedup, "{:.2f}x")),
        ("DER, dense (%)", percent(results.dense.der)),
        ("DER, pruned (%)", percent(results.pruned.der)),
    ]


def _comparison(caption: str, results: Results, rows: Sequence[Row]) -> _Table:
    return _Table(caption, ("", *results.models), rows)


def _structure_tables(inputs: Inputs) -> list[_Table]:
    before, after = (
        unit_sizes(encoder_config(files.model)) for files in (inputs.dense, inputs.pruned)
    )
    tables = (
        ("Channels kept of each convolution", {"conv": "channels"}),
        ("Units kept of each Transformer layer", {"head": "heads", "ffn": "FFN units"}),
    )
    return [_structure_table(caption, before, after, units) for caption, units in tables]


def _structure_table(
    caption: str,
    before: Mapping[str, Sequence[int]],
    after: Mapping[str, Sequence[int]],
    units: Mapping[str, str],
) -> _Table:
    columns = [
        [_kept(kept, all_) for kept, all_ in zip(after[unit], before[unit], strict=True)]
        for unit in units
    ]
    rows = [(str(layer), *cells) for layer, cells in enumerate(zip(*columns, strict=True))]
    totals = (_kept(sum(after[unit]), sum(before[unit])) for unit in units)
    return _Table(caption, ("layer", *units.values()), [*rows, ("all", *totals)])


def _kept(kept: int, all_: int) -> Cell:
    return Cell(kept, f"{kept} / {all_}")


def _training_tables(inputs: Inputs) -> list[_Table]:
    trainings = (
        ("Fine-tuning of the dense model", inputs.dense.checkpoint, _FINE_TUNING),
        ("Distillation and pruning", inputs.prune, _PRUNING),
        ("Further distillation", inputs.distill, _DISTILLATION),
        ("Fine-tuning of the pruned model", inputs.pruned.checkpoint, _FINE_TUNING),
    )
    return [
        _training_table(f"{title} ({path.parent.name})", read_history(path), columns)
        for title, path, columns in trainings
        if path
    ]


def _training_table(caption: str, history: History, columns: Sequence[_Column]) -> _Table:
    epochs = [str(epoch) for epoch in sorted(history.epochs)]
    rows = list(zip(epochs, *(_curve(history, each) for each in columns), strict=True))
    return _Table(caption, ("epoch", *(each.header for each in columns)), rows)


def _curve(history: History, column: _Column) -> list[Cell]:
    """A cell for each epoch."""
    history.curve(column.split, column.statistic)  # raises where no epoch has it
    splits = [history.epochs[epoch].get(column.split, {}) for epoch in sorted(history.epochs)]
    values = [split.get(column.statistic) for split in splits]
    return [cell(value, column.pattern, column.scale) for value in values]


def _recordings(inputs: Inputs) -> list[_Recording]:
    """All recordings, the highest DER of the pruned model first, those without speech last."""
    scores = read_scores(inputs.pruned.scores)
    dense, pruned = read_scores(inputs.dense.scores)["recordings"], scores["recordings"]
    if dense.keys() != pruned.keys():
        raise DataError(
            f"{inputs.pruned.scores}: expected scores of the recordings that "
            f"{inputs.dense.scores} has, found others; run stage 11 again"
        )
    ranked = worst_recordings(scores, len(pruned))
    silent = sorted(set(pruned) - set(ranked))
    return [_recording(name, dense[name], pruned[name]) for name in [*ranked, *silent]]


def _recording(name: str, dense: Mapping[str, Any], pruned: Mapping[str, Any]) -> _Recording:
    silent = dense["der"] is None or pruned["der"] is None
    change = None if silent else pruned["der"] - dense["der"]
    parts = [percent(each[part]) for each in (dense, pruned) for part in _PARTS]
    cells = [
        percent(dense["der"]),
        percent(pruned["der"]),
        cell(change, "{:+.2f}", 100),
        *parts,
        cell(pruned.get("speech"), "{:.1f}"),
    ]
    return _Recording(name, cells)


def _timelines(inputs: Inputs) -> list[_Timeline]:
    dense, pruned = (read_scores(files.scores) for files in (inputs.dense, inputs.pruned))
    return [
        _Timeline(
            recording,
            percent(dense["recordings"][recording]["der"]),
            percent(pruned["recordings"][recording]["der"]),
            _base64(to_png(draw_recording(inputs, recording))),
        )
        for recording in worst_recordings(pruned, WORST)
    ]


def _environment_table(results: Results) -> _Table:
    environment = results.environment
    rows: list[tuple[str, str | Cell]] = [
        ("date", environment.date),
        ("seed", cell(results.seed, "{}")),
        ("timed on", results.device),
        ("CPU threads", cell(results.threads, "{}")),
        ("Python", environment.python),
        ("PyTorch", environment.torch),
        ("ESPnet", environment.espnet or "not installed"),
    ]
    if environment.git_commit:
        rows += [("commit", environment.git_commit), ("its date", environment.git_date or "n/a")]
    return _Table("Environment of the report", (), rows)


def _time_table(seconds: Mapping[str, float]) -> _Table:
    rows = [(name, _duration(each)) for name, each in seconds.items()]
    total = ("all", _duration(sum(seconds.values())))
    return _Table("Wall-clock time of the trainings", ("training", "h:min:s"), [*rows, total])


def _duration(seconds: float) -> Cell:
    return Cell(seconds, str(timedelta(seconds=round(seconds))))


def _base64(png: bytes) -> str:
    return base64.b64encode(png).decode()
