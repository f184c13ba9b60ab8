"""Plot of what pruning kept of each layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from espnet_prune.encoder import SSLConfig, unit_sizes
from espnet_prune.report.figure import BACKGROUND, PRUNED, new_figure, save_plot, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = (
    ("conv", "channels", "convolution"),
    ("head", "heads", "Transformer layer"),
    ("ffn", "FFN units", "Transformer layer"),
)


def plot_structure(dense: SSLConfig, pruned: SSLConfig, path: Path) -> None:
    """Write a PNG with one bar per layer and kind of unit: pruned over dense."""
    before, after = unit_sizes(dense), unit_sizes(pruned)
    rows = max(len(before[unit]) for unit, _, _ in _PANELS)
    figure = new_figure(10, 1.9 + 0.32 * rows)
    panels = figure.subplots(1, len(_PANELS))
    for axes, (unit, units, layer) in zip(panels, _PANELS, strict=True):
        _panel(axes, before[unit], after[unit], rows)
        kept = sum(after[unit]) / max(1, sum(before[unit]))
        axes.set_title(f"{units}: {100 * kept:.0f} % kept", loc="left")
        axes.set_xlabel(f"{units} (%)", x=50 / axes.get_xlim()[1])
        axes.set_ylabel(layer)
    figure.suptitle("What pruning kept of the SSL encoder")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    save_plot(figure, path)


def _panel(axes: Axes, before: tuple[int, ...], after: tuple[int, ...], rows: int) -> None:
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
