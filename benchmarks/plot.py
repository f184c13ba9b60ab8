"""The comparison as bars, a panel per dense model and input; the cost of stages as lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.implementations import OURS
from benchmarks.results import Row, groups
from espnet_prune.report.figure import DENSE, PRUNED, TARGET, new_figure, save_plot, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from benchmarks.diarization import StageRow

_OTHERS = "#A9B4BF"
_GAP = 0.6  # between the dense and the pruned shape, in bars


def plot(rows: Sequence[Row], path: Path) -> None:
    """Write a PNG of the speed-ups, a line to the higher of the two, and the MAC reductions."""
    panels = groups(rows)
    models = list(dict.fromkeys(model for model, _ in panels))
    inputs = list(dict.fromkeys(input for _, input in panels))
    most = max(len(group) for group in panels.values())
    figure = new_figure(2.8 + 3.2 * len(inputs), 1 + len(models) * (0.8 + 0.23 * most))
    grid = figure.subplots(len(models), len(inputs), squeeze=False, sharex=True)
    for line, model in zip(grid, models, strict=True):
        for axes, input in zip(line, inputs, strict=True):
            if (model, input) not in panels:  # of a run that goes on
                axes.set_axis_off()
                continue
            _draw(axes, panels[model, input], named=input == inputs[0])
            axes.set_title(f"{model}, {input}", loc="left", fontsize=10)
    figure.supxlabel("speed-up over torchaudio's dense model in float32", fontsize=10)
    save_plot(figure, path)


def _draw(axes: Axes, rows: Sequence[Row], named: bool) -> None:
    shapes = list(dict.fromkeys(row.model for row in rows))
    places = [index + _GAP * shapes.index(row.model) for index, row in enumerate(rows)]
    for place, row in zip(places, rows, strict=True):
        ours = DENSE if row.model == shapes[0] else PRUNED
        colour = ours if row.implementation == OURS else _OTHERS
        higher = max(row.speedup_minima, row.speedup_medians)
        axes.barh(place, row.speedup, color=colour, height=0.75)
        axes.plot([row.speedup, higher], [place, place], color=TARGET, linewidth=1)
        axes.annotate(
            f"{row.speedup:.1f}x", (higher, place), (4, 0),
            textcoords="offset points", va="center", fontsize=7,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip
    for shape in shapes:
        own = [(place, row) for place, row in zip(places, rows, strict=True) if row.model == shape]
        (top, first), (bottom, _) = own[0], own[-1]
        ends = [top - 0.5, bottom + 0.5]
        axes.plot([first.mac_reduction] * 2, ends, color=TARGET, linestyle=":", linewidth=1.2)
        what = "dense" if shape == shapes[0] else f"pruned, {first.mac_reduction:.1f}x fewer MACs"
        axes.annotate(
            what, (first.mac_reduction, ends[0]), (2, 0), textcoords="offset points", fontsize=7
        )
    labels = [f"{row.implementation}, {row.precision}" for row in rows]
    axes.set_yticks(places if named else [], labels if named else [], fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.02)
    tidy(axes)


def plot_stages(rows: Sequence[StageRow], path: Path) -> None:
    """Write a PNG of seconds and peak memory over minutes of audio, a line for each stage.

    Of each model, the rows with the first number of speakers, batch size and threads.
    """
    models: dict[str, list[StageRow]] = {}
    for row in rows:
        own = models.setdefault(row.model, [])
        if not own or _manner(row) == _manner(own[0]):
            own.append(row)
    figure = new_figure(9, 0.6 + 2.8 * len(models))
    panels = figure.subplots(len(models), 2, squeeze=False)
    for (model, own), (seconds, memory) in zip(models.items(), panels, strict=True):
        for stage in dict.fromkeys(row.stage for row in own):
            found = sorted((r for r in own if r.stage == stage), key=lambda row: row.minutes)
            minutes = [row.minutes for row in found]
            seconds.plot(minutes, [row.seconds for row in found], marker="o", label=stage)
            memory.plot(minutes, [row.peak_mib for row in found], marker="o", label=stage)
        seconds.set_title(model, loc="left", fontsize=10)
        for axes, name in ((seconds, "seconds"), (memory, "peak MiB")):
            axes.set(xlabel="minutes of audio", ylabel=name, ylim=(0, None))
            axes.tick_params(labelsize=8)
            tidy(axes)
        seconds.legend(fontsize=7, frameon=False)
    save_plot(figure, path)


def _manner(row: StageRow) -> tuple[int, int, int]:
    return row.speakers, row.batch_size, row.threads
