"""Plot of one recording: who speaks when, in truth and after each model, and where they err."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from pyannote.metrics.errors.identification import IdentificationErrorAnalysis

from espnet_prune.data import Region, Turn, to_annotation
from espnet_prune.report.figure import BACKGROUND, new_figure, tidy
from espnet_prune.scoring.der import scored_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_SECONDS = 300.0  # more in a row of the figure would not be readable
MAX_ROWS = 12  # of very long recordings, rows become longer instead
_MAX_EXTRA = 3  # lanes for speakers in excess
_LANE, _MAX_HEIGHT = 0.21, 200.0  # inches
_STRIP = 1.35  # of errors, in lanes
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


def timeline_name(recording: str) -> str:
    """File name of the timeline of a recording, whatever its id contains."""
    return f"timeline_{recording.replace('/', '_')}.png"


def draw_timeline(
    reference: Sequence[Turn], hypotheses: Sequence[Hypothesis], regions: Sequence[Region]
) -> Figure:
    """Draw the turns of one recording and the errors of each hypothesis.

    Hypothesis speakers have the names and colours of the reference speakers that they fit best.
    A recording of more than five minutes takes several rows. Errors are those within ``regions``,
    without a collar.
    """
    recording = regions[0].recording
    scored = scored_time(regions)
    truth = to_annotation(reference, recording).support()
    groups = [_Group("reference", truth, truth.labels())]
    for each in hypotheses:
        found = _mapped(truth, each.turns, scored)
        rate = "n/a" if each.der is None else f"{100 * each.der:.1f} %"
        extra = [label for label in found.labels() if label.startswith("extra ")]
        errors = IdentificationErrorAnalysis().difference(truth, found, uem=scored)
        labels = truth.labels() + extra
        groups.append(_Group(f"{each.name}: DER {rate}", found, labels, errors))

    extent, gaps = scored.extent(), scored.gaps()
    rows = _rows(extent)
    lanes = sum(group.height for group in groups)
    inches = min(_LANE * lanes + 0.4, _MAX_HEIGHT / len(rows))
    figure = new_figure(12, 0.9 + inches * len(rows))
    panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, row in zip(panels, rows, strict=True):
        for gap in gaps:
            axes.axvspan(gap.start, gap.end, color=BACKGROUND, linewidth=0, zorder=0)
        _draw(axes, row, groups)
        _clock(axes, row, with_hours=extent.end >= 3600)
    panels[0].set_title(recording, loc="left", fontsize=11, parse_math=False)
    panels[-1].set_xlabel("time (h:min:s)" if extent.end >= 3600 else "time (min:s)")
    _legend(figure, with_gaps=bool(gaps))
    return figure


class _Group(NamedTuple):
    """A title, a lane for each of the speakers, and a strip of errors."""

    title: str
    turns: Annotation
    speakers: list[str]
    errors: Annotation | None = None

    @property
    def height(self) -> float:
        """In lanes of a speaker."""
        return 1.1 + len(self.speakers) + (_STRIP + 0.3 if self.errors is not None else 0)


def _draw(axes: Axes, row: Segment, groups: Sequence[_Group]) -> None:
    """Draw the groups from top to bottom, as far as they are within the time of ``row``."""

    def bars(segments: Iterable[Segment], top: float, height: float, colour: str) -> None:
        spans = [(each.start, each.duration) for each in segments if each.intersects(row)]
        axes.broken_barh(spans, (top, height), color=colour, linewidth=0)

    labels: dict[float, str] = {}
    top = 0.0
    for group in groups:
        axes.text(
            0.004, top + 0.6, group.title, transform=axes.get_yaxis_transform(), va="center",
            fontsize=8, fontweight="bold", parse_math=False,
        )  # fmt: skip
        top += 1.1
        for index, name in enumerate(group.speakers):
            colour = _EXTRA if name.startswith("extra ") else _SPEAKERS[index % len(_SPEAKERS)]
            bars(group.turns.label_timeline(name), top + 0.1, 0.8, colour)
            labels[top + 0.5] = name
            top += 1
        if group.errors is None:
            continue
        top += 0.15
        axes.axhspan(top, top + _STRIP, color=BACKGROUND, alpha=0.5, linewidth=0, zorder=0)
        labels[top + _STRIP / 2] = "errors"
        tracks = list(group.errors.itertracks(yield_label=True))
        for lane, (kind, (_, colour)) in enumerate(ERRORS.items()):
            segments = (segment for segment, _, label in tracks if label[0] == kind)
            height = _STRIP / len(ERRORS)
            bars(segments, top + lane * height, height, colour)
        top += _STRIP + 0.15
    axes.set_yticks(list(labels), list(labels.values()), fontsize=7, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlim(row.start, row.end)
    axes.set_ylim(top, 0)
    tidy(axes)


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


def _rows(extent: Segment) -> list[Segment]:
    """Equal parts of the recording; a tenth more than five minutes is still one."""
    number = min(MAX_ROWS, max(1, math.ceil(extent.duration / ROW_SECONDS - 0.1)))
    length = extent.duration / number
    starts = [extent.start + index * length for index in range(number)]
    return [Segment(start, start + length) for start in starts]


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
