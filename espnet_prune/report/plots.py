"""The plots of a report: what pruning kept, the trainings, and recordings of both models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet_prune.data import read_rttm, read_uem
from espnet_prune.data.tables import entry_of
from espnet_prune.encoder import SSLConfig, unit_sizes
from espnet_prune.report.figure import (
    BACKGROUND,
    DENSE,
    DISTILLED,
    PRUNED,
    TARGET,
    new_figure,
    save_plot,
    tidy,
)
from espnet_prune.report.history import History, read_history
from espnet_prune.report.inputs import Inputs
from espnet_prune.report.rates import median_recording, read_scores
from espnet_prune.report.results import encoder_config
from espnet_prune.report.timeline import Hypothesis, draw_timeline, timeline_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STRUCTURE = "kept_structure.png"
PRUNING = "pruning_curves.png"
TRAINING = "training_curves.png"
_UNITS = (
    ("conv", "channels", "convolution"),
    ("head", "heads", "Transformer layer"),
    ("ffn", "FFN units", "Transformer layer"),
)
_TRAIN: dict[str, Any] = {"linestyle": "--", "linewidth": 1.2, "alpha": 0.75, "marker": "."}
_VALID: dict[str, Any] = {"linestyle": "-", "marker": "o", "markersize": 3}
# By what a training reports: a task's own loss beside gates, a teacher's, or a task's alone.
_LOSSES = {"loss_task": "loss of the task", "loss_distill": "distillation loss", "loss": "loss"}
_MULTIPLIERS = {"lambda1": ("λ₁", "#332288"), "lambda2": ("λ₂", "#AA4499")}
# Of the budgets that a pruning may have at a time.
_MARKERS = ("o", "s")


def plot_all(inputs: Inputs, folder: Path) -> None:
    """Write every plot as a PNG to ``folder``."""
    dense, pruned = encoder_config(inputs.dense.model), encoder_config(inputs.pruned.model)
    further = read_history(inputs.distill) if inputs.distill else None
    trainings = (read_history(files.checkpoint) for files in (inputs.dense, inputs.pruned))
    recording = median_recording(read_scores(inputs.pruned.scores))
    save_plot(draw_structure(dense, pruned), folder / STRUCTURE)
    save_plot(draw_pruning(read_history(inputs.prune), further), folder / PRUNING)
    save_plot(draw_training(*trainings), folder / TRAINING)
    save_plot(draw_recording(inputs, recording), folder / timeline_name(recording))


def draw_recording(inputs: Inputs, recording: str) -> Figure:
    """Draw the timeline of a scored recording: reference, dense and pruned model."""
    hypotheses = [
        Hypothesis(
            name,
            read_rttm(files.rttm).get(recording, []),
            entry_of(recording, read_scores(files.scores)["recordings"], files.scores)["der"],
        )
        for name, files in (("dense", inputs.dense), ("pruned", inputs.pruned))
    ]
    reference = read_rttm(inputs.reference).get(recording, [])
    return draw_timeline(
        reference, hypotheses, entry_of(recording, read_uem(inputs.uem), inputs.uem)
    )


def draw_structure(dense: SSLConfig, pruned: SSLConfig) -> Figure:
    """Draw one bar per layer and kind of unit: pruned over dense."""
    return draw_units(unit_sizes(dense), unit_sizes(pruned))


def draw_units(before: Mapping[str, Sequence[int]], after: Mapping[str, Sequence[int]]) -> Figure:
    """As :func:`draw_structure`, of the units of each layer by kind."""
    rows = max(len(before[unit]) for unit, _, _ in _UNITS)
    figure = new_figure(10, 1.9 + 0.32 * rows)
    panels = figure.subplots(1, len(_UNITS))
    for axes, (unit, units, layer) in zip(panels, _UNITS, strict=True):
        _bars(axes, before[unit], after[unit], rows)
        kept = sum(after[unit]) / max(1, sum(before[unit]))
        axes.set_title(f"{units}: {100 * kept:.0f} % kept", loc="left")
        axes.set_xlabel(f"{units} (%)", x=50 / axes.get_xlim()[1])
        axes.set_ylabel(layer)
    figure.suptitle("What pruning kept of the SSL encoder")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _bars(axes: Axes, before: Sequence[int], after: Sequence[int], rows: int) -> None:
    layers = range(len(before))
    shares = [100 * kept / max(1, all_) for kept, all_ in zip(after, before, strict=True)]
    axes.barh(layers, [100] * len(before), color=BACKGROUND, height=0.75, label="dense")
    axes.barh(layers, shares, color=PRUNED, height=0.75, label="pruned")
    for index, (kept, all_) in enumerate(zip(after, before, strict=True)):
        axes.text(102, index, f"{kept} / {all_}", va="center", fontsize=8)
    axes.set_xlim(0, 130)
    axes.set_xticks(range(0, 101, 25))
    axes.spines["bottom"].set_bounds(0, 100)
    axes.set_yticks(layers)
    axes.set_ylim(rows - 0.5, -0.5)  # bars of one height: Whisper has a single convolution
    axes.spines["left"].set_bounds(-0.5, len(before) - 0.5)
    tidy(axes)


def draw_pruning(prune: History, further: History | None) -> Figure:
    """Draw sparsity, loss and multipliers over the epochs of a training with gates.

    ``further`` is that of the applied model that followed.
    """
    figure = new_figure(8, 7.5)
    panels = sparsity, loss, multipliers = figure.subplots(3, 1, sharex=True)
    # Validation sees the gates as an epoch leaves them; training averages over the epoch.
    _curve(sparsity, prune, "valid", "target_sparsity", 100, color=TARGET, linestyle="--",
           label="target")  # fmt: skip
    _curve(sparsity, prune, "valid", "sparsity", 100, color=PRUNED, label="expected", **_VALID)
    sparsity.set_ylabel("sparsity (%)")
    name, last = _loss_of(prune), max(prune.epochs)
    _train_and_valid(loss, prune, name, PRUNED, "pruning")
    if further:
        rest = _loss_of(further)
        label = "distilled further" if rest == "loss_distill" else "trained further"
        _train_and_valid(loss, further, rest, DISTILLED, label, first_epoch=last)
        for axes in panels:
            axes.axvline(last + 0.5, color=TARGET, linewidth=1, linestyle=":")
        sparsity.set_title("dotted: closed units are cut away", loc="right", fontsize=9)
    loss.set_ylabel(_LOSSES[name])
    for multiplier, (symbol, colour) in _MULTIPLIERS.items():
        own = [each for each in prune.names("valid") if each.startswith(multiplier)]
        for each, marker in zip(own, _MARKERS[: len(own)], strict=True):
            label = symbol + each.removeprefix(multiplier).replace("_", " ")
            style = {**_VALID, "marker": marker, "color": colour}
            _curve(multipliers, prune, "valid", each, label=label, **style)
    multipliers.axhline(0, color=TARGET, linewidth=0.8)
    multipliers.set_ylabel("multiplier")
    multipliers.set_xlabel("epoch")
    _finish(*panels)
    sparsity.set_title("Pruning", loc="left")
    return figure


def draw_training(dense: History, pruned: History) -> Figure:
    """Draw loss and frame-level DER over the epochs of both fine-tunings."""
    figure = new_figure(10, 4)
    loss, der = figure.subplots(1, 2)
    for history, colour, name in ((dense, DENSE, "dense"), (pruned, PRUNED, "pruned")):
        _train_and_valid(loss, history, "loss", colour, name)
        _train_and_valid(der, history, "der", colour, name, scale=100)
    loss.set_ylabel("powerset loss (nats per frame)")
    der.set_ylabel("DER of windows (%)")
    for axes in (loss, der):
        axes.set_xlabel("epoch")
        axes.set_ylim(bottom=0)
    _finish(loss, der)
    figure.suptitle("Fine-tuning for diarization")
    return figure


def _loss_of(history: History) -> str:
    return next(name for name in _LOSSES if name in history.names("valid"))


def _train_and_valid(
    axes: Axes, history: History, name: str, colour: str, label: str, **place: Any
) -> None:
    for split, style in (("train", _TRAIN), ("valid", _VALID)):
        _curve(axes, history, split, name, color=colour, label=f"{label}, {split}", **place | style)


def _curve(
    axes: Axes,
    history: History,
    split: str,
    name: str,
    scale: float = 1,
    first_epoch: int = 0,
    **style: Any,
) -> None:
    epochs, values = history.curve(split, name)
    shifted = [first_epoch + epoch for epoch in epochs]
    axes.plot(shifted, [scale * value for value in values], **style)


def _finish(*panels: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    for axes in panels:
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))  # whole epochs
        tidy(axes)
