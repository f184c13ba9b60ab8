"""Results as one HTML file that needs nothing else: tables, plots, and the worst recordings."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import jinja2

from espnet_prune.data import DataError
from espnet_prune.encoder import unit_sizes
from espnet_prune.report.figure import to_image
from espnet_prune.report.history import History, read_history
from espnet_prune.report.inputs import Inputs
from espnet_prune.report.plots import PRUNING, STRUCTURE, TRAINING, draw_recording
from espnet_prune.report.rates import RATES, by_der, read_scores
from espnet_prune.report.results import (
    Results,
    cost_table,
    difference_table,
    encoder_config,
    rate_table,
)
from espnet_prune.report.table import Cell, Measure, Table, cell

WORST = 3  # recordings whose timelines are shown
# Statistics of trainings; a key is a split and a name.
_FINE_TUNING = (
    Measure("train loss", "loss, training", "{:.4f}", 1),
    Measure("valid loss", "loss, validation", "{:.4f}", 1),
    Measure("train der", "DER, training (%)"),
    Measure("valid der", "DER, validation (%)"),
)
_DISTILLATION = (
    Measure("train loss_distill", "distillation loss, training", "{:.4f}", 1),
    Measure("valid loss_distill", "distillation loss, validation", "{:.4f}", 1),
)
_PRUNING = (
    *_DISTILLATION,
    Measure("valid sparsity", "expected sparsity (%)"),
    Measure("valid target_sparsity", "target sparsity (%)"),
    Measure("valid lambda1", "λ₁", "{:.4f}", 1),
    Measure("valid lambda2", "λ₂", "{:.4f}", 1),
)
_STRUCTURE = {
    "Channels kept of each convolution": {"conv": "channels"},
    "Units kept of each Transformer layer": {"head": "heads", "ffn": "FFN units"},
}


def render_report(inputs: Inputs, results: Results, images: Path, name: str) -> str:
    """The report of the experiment ``name``; ``images`` is the folder of ``plot_all``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("espnet_prune.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    recordings = _recordings(inputs)
    worst = [row for row in recordings[:WORST] if row[2].value is not None]
    times = [*results.train_seconds.items(), ("all", sum(results.train_seconds.values()))]
    return environment.get_template("report.html").render(
        name=name,
        results=results,
        cell=cell,
        costs=cost_table(results),
        rates=rate_table(results),
        difference=difference_table(results),
        structure=_structure(inputs),
        trainings=_trainings(inputs),
        recordings=recordings,
        worst=[(row, _base64(to_image(draw_recording(inputs, row[0])))) for row in worst],
        images=[_base64((images / each).read_bytes()) for each in (STRUCTURE, PRUNING, TRAINING)],
        times=[(name, Cell(s, str(timedelta(seconds=round(s))))) for name, s in times],
    )


def _structure(inputs: Inputs) -> dict[str, Table]:
    """Tables of the units of each layer, by their captions."""
    before, after = (
        unit_sizes(encoder_config(files.model)) for files in (inputs.dense, inputs.pruned)
    )

    def column(unit: str) -> list[Cell]:
        pairs = [
            *zip(after[unit], before[unit], strict=True),
            (sum(after[unit]), sum(before[unit])),
        ]
        return [Cell(kept, f"{kept} / {all_}") for kept, all_ in pairs]

    tables = {}
    for caption, units in _STRUCTURE.items():
        columns = [column(unit) for unit in units]
        layers = [*map(str, range(len(columns[0]) - 1)), "all"]
        rows = list(zip(layers, *columns, strict=True))
        tables[caption] = Table(("layer", *units.values()), rows)
    return tables


def _trainings(inputs: Inputs) -> dict[str, Table]:
    """Tables of the epochs of each training, by their captions."""
    trainings = (
        ("Fine-tuning of the dense model", inputs.dense.checkpoint, _FINE_TUNING),
        ("Distillation and pruning", inputs.prune, _PRUNING),
        ("Further distillation", inputs.distill, _DISTILLATION),
        ("Fine-tuning of the pruned model", inputs.pruned.checkpoint, _FINE_TUNING),
    )
    return {
        f"{title} ({path.parent.name})": _epochs(read_history(path), measures)
        for title, path, measures in trainings
        if path
    }


def _epochs(history: History, measures: Sequence[Measure]) -> Table:
    names = [each.key.split() for each in measures]
    for split, name in names:
        history.curve(split, name)  # raises where no epoch has it
    records = [
        (str(epoch), {f"{s} {name}": splits.get(s, {}).get(name) for s, name in names})
        for epoch, splits in sorted(history.epochs.items())
    ]
    return Table.of("epoch", measures, records)


def _recordings(inputs: Inputs) -> list[list[Any]]:
    """All recordings, the highest DER of the pruned model first, those without speech last.

    A name, then cells: DER of the dense and the pruned model, its change, the other rates of both
    models, and seconds of speech.
    """
    scores = read_scores(inputs.pruned.scores)
    dense, pruned = read_scores(inputs.dense.scores)["recordings"], scores["recordings"]
    if dense.keys() != pruned.keys():
        raise DataError(
            f"{inputs.pruned.scores}: expected scores of the recordings that "
            f"{inputs.dense.scores} has, found others; run stage 11 again"
        )
    ranked = by_der(scores)
    silent = sorted(set(pruned) - set(ranked))
    return [[name, *_cells(dense[name], pruned[name])] for name in [*ranked, *silent]]


def _cells(dense: Mapping[str, Any], pruned: Mapping[str, Any]) -> list[Cell]:
    ders = dense["der"], pruned["der"]
    change = None if None in ders else ders[1] - ders[0]
    parts = [cell(each[rate.key]) for each in (dense, pruned) for rate in RATES[1:]]
    speech = cell(pruned["speech"], "{:.1f}", 1)
    return [*map(cell, ders), cell(change, "{:+.2f}"), *parts, speech]


def _base64(png: bytes) -> str:
    return base64.b64encode(png).decode()
