"""Plot of one recording: who speaks when, in truth and after each model, and where they err."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_low
from typing import TYPE_CHECKING, Any, NamedTuple

from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from pyannote.metrics.errors.identification import IdentificationErrorAnalysis

from espnet_prune.data import DataError, Region, Turn, to_annotation
from espnet_prune.report.figure import BACKGROUND, new_figure, save_plot, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_SECONDS = 300.0  # more in a row of the figure would not be readable
MAX_ROWS = 12  # of very long recordings, rows become longer instead
_MAX_EXTRA = 3  # lanes for speakers in excess
_LANE, _MAX_HEIGHT = 0.21, 200.0  # inches
_SPEAKERS = ("#4477AA", "#44AA99", "#999933", "#88CCEE", "#117733", "#DDCC77")
_EXTRA = "#999999"
# Told apart by their lane and, by colour-blind readers too, by their colour.
ERRORS = {
    "missed detection": ("miss", "#CC3311"),
    "false alarm": ("false alarm", "#EE9922"),
    "confusion": ("confusion", "#762A83"),
}
_TICKS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)  # seconds


class Hypothesis(NamedTuple):
    """Turns of a recording as a model found them; their DER, a fraction, None without speech."""

    name: str
    turns: Sequence[Turn]
    der: float | None


def median_recording(scores: Mapping[str, Any]) -> str:
    """The recording whose DER is the median of ``score_der --json``.

    Raises:
        DataError: no recording has speech.
    """
    rates = _rates(scores)
    if not rates:
        raise DataError("expected a test set with speech, found none; check its rttm and uem")
    middle = median_low(rates.values())
    return min(name for name, der in rates.items() if der == middle)


def worst_recordings(scores: Mapping[str, Any], number: int) -> list[str]:
    """The recordings of highest DER in ``score_der --json``, at most ``number``, worst first."""
    rates = _rates(scores)
    return sorted(rates, key=lambda name: (-rates[name], name))[:number]


def timeline_name(recording: str) -> str:
    """File name of the timeline of a recording, whatever its id contains."""
    return f"timeline_{recording.replace('/', '_')}.png"


def plot_timeline(
    reference: Sequence[Turn],
    hypotheses: Sequence[Hypothesis],
    regions: Sequence[Region],
    path: Path,
) -> None:
    """Write the timeline of one recording as a PNG, see :func:`draw_timeline`."""
    save_plot(draw_timeline(reference, hypotheses, regions), path)


def draw_timeline(
    reference: Sequence[Turn], hypotheses: Sequence[Hypothesis], regions: Sequence[Region]
) -> Figure:
    """Draw the turns of one recording and the errors of each hypothesis.

    Hypothesis speakers have the names and colours of the reference speakers that they fit best.
    A recording of more than five minutes takes several rows. Errors are those within ``regions``,
    without a collar.
    """
    recording = regions[0].recording
    scored = Timeline([Segment(region.start, region.end) for region in regions]).support()
    truth = to_annotation(reference, recording).support()
    lanes = _Lanes()
    lanes.add_speakers("reference", truth, truth.labels())
    for each in hypotheses:
        found = _mapped(truth, each.turns, scored)
        rate = "n/a" if each.der is None else f"{100 * each.der:.1f} %"
        title = f"{each.name}: DER {rate}"
        lanes.add_speakers(title, found, truth.labels() + _extra(found))
        lanes.add_errors(IdentificationErrorAnalysis().difference(truth, found, uem=scored))

    extent, gaps = scored.extent(), scored.gaps()
    rows = _rows(extent)
    inches = min(_LANE * lanes.height + 0.4, _MAX_HEIGHT / len(rows))
    figure = new_figure(12, 0.9 + inches * len(rows))
    panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, row in zip(panels, rows, strict=True):
        _draw(axes, lanes, row, gaps)
        _clock(axes, row, with_hours=extent.end >= 3600)
    panels[0].set_title(recording, loc="left", fontsize=11, parse_math=False)
    panels[-1].set_xlabel("time (h:min:s)" if extent.end >= 3600 else "time (min:s)")
    _legend(figure, with_gaps=bool(gaps))
    return figure


class _Bars(NamedTuple):
    """Bars of one colour at a height of the figure, counted in lanes from the top of a row."""

    top: float
    height: float
    colour: str
    segments: list[Segment]


@dataclass
class _Lanes:
    """What a row of the figure shows from top to bottom; the lane of a speaker is 1 high."""

    height: float = 0.0
    bars: list[_Bars] = field(default_factory=list)
    titles: list[tuple[float, str]] = field(default_factory=list)
    labels: list[tuple[float, str]] = field(default_factory=list)
    strips: list[tuple[float, float]] = field(default_factory=list)

    def add_speakers(self, title: str, annotation: Annotation, names: Sequence[str]) -> None:
        """Add a title and a lane per speaker."""
        self.titles.append((self.height + 0.6, title))
        self.height += 1.1
        for index, name in enumerate(names):
            colour = _EXTRA if name.startswith("extra ") else _SPEAKERS[index % len(_SPEAKERS)]
            segments = list(annotation.label_timeline(name))
            self.bars.append(_Bars(self.height + 0.1, 0.8, colour, segments))
            self.labels.append((self.height + 0.5, name))
            self.height += 1

    def add_errors(self, difference: Annotation) -> None:
        """Add a strip with a narrow lane per kind of error."""
        top, height = self.height + 0.15, 0.45
        for lane, (kind, (_, colour)) in enumerate(ERRORS.items()):
            segments = [s for s, _, label in difference.itertracks(yield_label=True)
                        if label[0] == kind]  # fmt: skip
            self.bars.append(_Bars(top + lane * height, height, colour, segments))
        self.strips.append((top, top + len(ERRORS) * height))
        self.labels.append((top + len(ERRORS) * height / 2, "errors"))
        self.height = top + len(ERRORS) * height + 0.15


def _rates(scores: Mapping[str, Any]) -> dict[str, float]:
    recordings = scores["recordings"].items()
    return {name: each["der"] for name, each in recordings if each["der"] is not None}


def _mapped(truth: Annotation, turns: Sequence[Turn], scored: Timeline) -> Annotation:
    """The turns under the names of the reference speakers that they fit best.

    Speakers in excess are called ``extra 1`` and so on; an RTTM label can't contain a blank.
    """
    found = to_annotation(turns, truth.uri).support()
    mapping = DiarizationErrorRate().optimal_mapping(truth, found, uem=scored)
    extra = [label for label in found.labels() if label not in mapping]
    for number, label in enumerate(extra, start=1):
        lumped = number >= _MAX_EXTRA and len(extra) > _MAX_EXTRA
        mapping[label] = f"extra {_MAX_EXTRA}–{len(extra)}" if lumped else f"extra {number}"
    return found.rename_labels(mapping=mapping)


def _extra(found: Annotation) -> list[str]:
    return [label for label in found.labels() if label.startswith("extra ")]


def _rows(extent: Segment) -> list[Segment]:
    """Equal parts of the recording; a tenth more than five minutes is still one."""
    number = min(MAX_ROWS, max(1, math.ceil(extent.duration / ROW_SECONDS - 0.1)))
    length = extent.duration / number
    starts = [extent.start + index * length for index in range(number)]
    return [Segment(start, start + length) for start in starts]


def _draw(axes: Axes, lanes: _Lanes, row: Segment, gaps: Timeline) -> None:
    for gap in gaps:
        axes.axvspan(gap.start, gap.end, color=BACKGROUND, linewidth=0, zorder=0)
    for top, bottom in lanes.strips:
        axes.axhspan(top, bottom, color=BACKGROUND, alpha=0.5, linewidth=0, zorder=0)
    for top, height, colour, segments in lanes.bars:
        spans = [(each.start, each.duration) for each in segments if each.intersects(row)]
        axes.broken_barh(spans, (top, height), color=colour, linewidth=0)
    for middle, title in lanes.titles:
        axes.text(
            0.004, middle, title, transform=axes.get_yaxis_transform(), va="center", fontsize=8,
            fontweight="bold", parse_math=False,
        )  # fmt: skip
    middles, names = zip(*lanes.labels, strict=True) if lanes.labels else ((), ())
    axes.set_yticks(middles, names, fontsize=7, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlim(row.start, row.end)
    axes.set_ylim(lanes.height, 0)
    tidy(axes)


def _clock(axes: Axes, row: Segment, with_hours: bool) -> None:
    """Label the time axis as players of audio do."""
    from matplotlib.ticker import MultipleLocator

    def label(seconds: float, _: float | None) -> str:
        minutes, rest = divmod(round(seconds), 60)
        hours, of_hour = divmod(minutes, 60)
        return f"{hours}:{of_hour:02d}:{rest:02d}" if with_hours else f"{minutes}:{rest:02d}"

    step = next((each for each in _TICKS if row.duration <= 12 * each), _TICKS[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(label)


def _legend(figure: Figure, with_gaps: bool) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=name) for name, colour in ERRORS.values()]
    if with_gaps:
        handles.append(Patch(color=BACKGROUND, label="not scored"))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=len(handles), frameon=False, fontsize=9
    )
