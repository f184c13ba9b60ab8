"""Plots of the trainings: pruning and what follows it, and both fine-tunings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet_prune.report.figure import (
    DENSE,
    DISTILLED,
    PRUNED,
    TARGET,
    new_figure,
    save_plot,
    tidy,
    whole_epochs,
)
from espnet_prune.report.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TRAIN: dict[str, Any] = {"linestyle": "--", "linewidth": 1.2, "alpha": 0.75, "marker": "."}
_VALID: dict[str, Any] = {"linestyle": "-", "marker": "o", "markersize": 3}
# By what a training reports: a task's own loss beside gates, a teacher's, or a task's alone.
_LOSSES = {"loss_task": "loss of the task", "loss_distill": "distillation loss", "loss": "loss"}
_MULTIPLIERS = {"lambda1": ("λ₁", "#332288"), "lambda2": ("λ₂", "#AA4499")}
# Of the budgets that a pruning may have at a time.
_MARKERS = ("o", "s")


def plot_pruning(prune: History, further: History | None, path: Path) -> None:
    """Write a PNG of sparsity, loss and multipliers over epochs.

    Args:
        prune: of the training with gates.
        further: of the training of the applied model that followed.
        path: of the PNG.

    Raises:
        CheckpointError: ``prune`` is of a training without gates.
    """
    figure = new_figure(8, 7.5)
    panels = sparsity, loss, multipliers = figure.subplots(3, 1, sharex=True)
    # Validation sees the gates as an epoch leaves them; training averages over the epoch.
    epochs, reached = prune.curve("valid", "sparsity")
    target_epochs, target = prune.curve("valid", "target_sparsity")
    sparsity.plot(target_epochs, _percent(target), color=TARGET, linestyle="--", label="target")
    sparsity.plot(epochs, _percent(reached), color=PRUNED, label="expected", **_VALID)
    sparsity.set_ylabel("sparsity (%)")

    last = max(prune.epochs)
    name = _loss_of(prune)
    _train_and_valid(loss, prune, name, PRUNED, "pruning")
    if further:
        rest = _loss_of(further)
        label = "distilled further" if rest == "loss_distill" else "trained further"
        _train_and_valid(loss, further, rest, DISTILLED, label, last)
        for axes in panels:
            axes.axvline(last + 0.5, color=TARGET, linewidth=1, linestyle=":")
        sparsity.set_title("dotted: closed units are cut away", loc="right", fontsize=9)
    loss.set_ylabel(_LOSSES[name])

    for multiplier, (symbol, colour) in _MULTIPLIERS.items():
        own = [name for name in prune.names("valid") if name.startswith(multiplier)]
        for name, marker in zip(own, _MARKERS[: len(own)], strict=True):
            part = name.removeprefix(multiplier).replace("_", " ")
            style = {**_VALID, "marker": marker, "color": colour}
            multipliers.plot(*prune.curve("valid", name), label=symbol + part, **style)
    multipliers.axhline(0, color=TARGET, linewidth=0.8)
    multipliers.set_ylabel("multiplier")
    multipliers.set_xlabel("epoch")
    for axes in panels:
        _finish(axes)
    sparsity.set_title("Pruning", loc="left")
    save_plot(figure, path)


def plot_training(dense: History, pruned: History, path: Path) -> None:
    """Write a PNG of loss and frame-level DER over the epochs of both fine-tunings."""
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
        _finish(axes)
    figure.suptitle("Fine-tuning for diarization")
    save_plot(figure, path)


def _loss_of(history: History) -> str:
    return next(name for name in _LOSSES if name in history.names("valid"))


def _train_and_valid(
    axes: Axes,
    history: History,
    name: str,
    colour: str,
    label: str,
    first_epoch: int = 0,
    scale: float = 1,
) -> None:
    for split, style in (("train", _TRAIN), ("valid", _VALID)):
        epochs, values = history.curve(split, name)
        axes.plot(
            [first_epoch + epoch for epoch in epochs],
            [scale * value for value in values],
            color=colour,
            label=f"{label}, {split}",
            **style,
        )


def _percent(fractions: list[float]) -> list[float]:
    return [100 * fraction for fraction in fractions]


def _finish(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    whole_epochs(axes)
    tidy(axes)
