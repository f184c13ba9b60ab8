"""Plot of one meeting: who speaks when, in truth and after each model, and where they err."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median_low
from typing import TYPE_CHECKING, Any, NamedTuple

from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from pyannote.metrics.errors.identification import IdentificationErrorAnalysis

from espnet_prune.diarization import DataError, Region, Turn, to_annotation
from espnet_prune.report.figure import BACKGROUND, new_figure, save_png, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_SECONDS = 300.0  # of a long meeting, more would not be readable
_SPEAKERS = ("#4477AA", "#44AA99", "#999933", "#88CCEE", "#117733", "#332288", "#DDCC77")
_EXTRA = "#999999"
_ERRORS = {
    "missed detection": ("miss", "#CC3311"),
    "false alarm": ("false alarm", "#EE9922"),
    "confusion": ("confusion", "#AA3377"),
}


class Hypothesis(NamedTuple):
    """Turns of a meeting as a model found them, and their DER (a fraction)."""

    name: str
    turns: Sequence[Turn]
    der: float


def median_recording(scores: Mapping[str, Any]) -> str:
    """The recording whose DER is the median of ``score_der --json``.

    Raises:
        DataError: no recording has speech.
    """
    rates = {
        name: each["der"] for name, each in scores["recordings"].items() if each["der"] is not None
    }
    if not rates:
        raise DataError("expected a test set with speech, found none; check its rttm and uem")
    middle = median_low(rates.values())
    return min(name for name, der in rates.items() if der == middle)


def plot_timeline(
    reference: Sequence[Turn],
    hypotheses: Sequence[Hypothesis],
    regions: Sequence[Region],
    path: Path,
) -> None:
    """Write a PNG of the turns of one recording, of its first five minutes if it is longer."""
    from matplotlib.patches import Patch

    recording = regions[0].recording
    scored = Timeline([Segment(region.start, region.end) for region in regions]).support()
    truth = to_annotation(reference, recording).support()
    speakers = truth.labels()
    found = [_mapped(truth, each.turns, scored) for each in hypotheses]
    rows = [speakers, *(speakers + _extra(each) for each in found)]
    heights = [len(rows[0]), *(len(names) + 1.2 for names in rows[1:])]
    figure = new_figure(12, 1.8 + 0.32 * sum(heights))
    panels = figure.subplots(len(rows), 1, sharex=True, height_ratios=heights)

    _turns(panels[0], truth, speakers)
    panels[0].set_title("reference", loc="left", fontsize=10)
    for axes, names, each, hypothesis in zip(panels[1:], rows[1:], found, hypotheses, strict=True):
        _turns(axes, each, names)
        _errors(axes, truth, each, scored, names)
        title = f"{hypothesis.name}: DER {100 * hypothesis.der:.1f} %"
        axes.set_title(title, loc="left", fontsize=10)
    extent = scored.extent()
    panels[0].set_xlim(extent.start, min(extent.end, extent.start + MAX_SECONDS))
    panels[-1].set_xlabel("time (s)")
    figure.suptitle(recording)
    figure.legend(
        handles=[Patch(color=colour, label=name) for name, colour in _ERRORS.values()],
        loc="outside lower center",
        ncols=len(_ERRORS),
        frameon=False,
    )
    save_png(figure, path)


def _mapped(truth: Annotation, turns: Sequence[Turn], scored: Timeline) -> Annotation:
    """The turns under the names of the reference speakers that they fit best.

    Speakers in excess are called ``extra 1`` and so on; an RTTM label can't contain a blank.
    """
    found = to_annotation(turns, truth.uri).support()
    mapping = DiarizationErrorRate().optimal_mapping(truth, found, uem=scored)
    extra = [label for label in found.labels() if label not in mapping]
    mapping |= {label: f"extra {number}" for number, label in enumerate(extra, start=1)}
    return found.rename_labels(mapping=mapping)


def _extra(found: Annotation) -> list[str]:
    return [label for label in found.labels() if label.startswith("extra ")]


def _turns(axes: Axes, annotation: Annotation, names: Sequence[str]) -> None:
    for row, name in enumerate(names):
        bars = [(turn.start, turn.duration) for turn in annotation.label_timeline(name)]
        colour = _EXTRA if name.startswith("extra ") else _SPEAKERS[row % len(_SPEAKERS)]
        axes.broken_barh(bars, (row - 0.38, 0.76), color=colour, linewidth=0)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.5, -0.5)
    tidy(axes)


def _errors(
    axes: Axes, truth: Annotation, found: Annotation, scored: Timeline, names: Sequence[str]
) -> None:
    """Add a strip with a lane per kind of error below the rows of ``names``."""
    difference = IdentificationErrorAnalysis().difference(truth, found, uem=scored)
    top, height = len(names) - 0.4, 1.0 / len(_ERRORS)
    for lane, (kind, (_, colour)) in enumerate(_ERRORS.items()):
        segments = [
            (segment.start, segment.duration)
            for segment, _, label in difference.itertracks(yield_label=True)
            if label[0] == kind
        ]
        axes.broken_barh(segments, (top + lane * height, height), color=colour, linewidth=0)
    axes.axhspan(top, top + 1, color=BACKGROUND, alpha=0.5, linewidth=0, zorder=0)
    axes.set_yticks([*range(len(names)), top + 0.5], [*names, "errors"], fontsize=8)
    axes.set_ylim(top + 1.1, -0.5)
