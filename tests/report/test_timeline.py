"""Timelines show every turn and every error where it is, readably at any length."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure

from espnet_prune.data import DataError, Region, Turn, read_rttm
from espnet_prune.report import timeline
from espnet_prune.report.figure import save_plot
from espnet_prune.report.inputs import Inputs
from espnet_prune.report.rates import by_der, median_recording
from espnet_prune.report.timeline import ERRORS, Hypothesis, draw_timeline, timeline_name
from espnet_prune.scoring.der import score
from tests.report.recipe import LENGTH

REGIONS = [Region("m", 0, 20)]


def turn(start: float, end: float, speaker: str) -> Turn:
    return Turn("m", start, end - start, speaker)


def bars(figure: Figure, colour: str, row: int = 0) -> list[tuple[float, float]]:
    """Start and end of every bar of a colour."""
    spans = []
    for collection in figure.axes[row].collections:
        if tuple(collection.get_facecolor()[0]) == to_rgba(colour):
            for bar in collection.get_paths():
                low, high = bar.get_extents().intervalx
                spans.append((float(low), float(high)))
    return spans


def errors(figure: Figure) -> dict[str, list[tuple[float, float]]]:
    return {name: bars(figure, colour) for name, colour in ERRORS.values()}


def lanes(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def one(reference: Sequence[Turn], found: Sequence[Turn], regions=REGIONS) -> Figure:
    return draw_timeline(reference, [Hypothesis("h", found, 0.1)], regions)


def test_maps_speakers_and_marks_errors() -> None:
    reference = [turn(0, 4, "A"), turn(5, 9, "B"), turn(10, 12, "A")]
    # Named crosswise; missed 3 to 4, false alarm 9 to 9.5, and a stranger who says A's last words.
    figure = one(reference, [turn(0, 3, "B"), turn(5, 9.5, "x"), turn(10, 12, "y")])
    assert lanes(figure) == ["A", "B", "A", "B", "extra 1", "errors"]
    assert errors(figure) == {"miss": [(3, 4)], "false alarm": [(9, 9.5)], "confusion": [(10, 12)]}
    first = timeline._SPEAKERS[0]
    assert bars(figure, first) == [(0, 4), (10, 12), (0, 3)]  # A in truth, then as found


def test_drawn_errors_add_up_to_the_score(inputs: Inputs) -> None:
    reference, found = read_rttm(inputs.reference), read_rttm(inputs.pruned.rttm)
    scores = score(reference, found, {name: [Region(name, 0, LENGTH)] for name in reference})
    for name, each in scores.recordings.items():
        figure = draw_timeline(
            reference[name], [Hypothesis("h", found[name], each.der)], [Region(name, 0, LENGTH)]
        )
        seconds = {kind: sum(b - a for a, b in spans) for kind, spans in errors(figure).items()}
        parts = {"miss": each.miss, "false alarm": each.false_alarm, "confusion": each.confusion}
        assert seconds == pytest.approx({kind: each.speech * part for kind, part in parts.items()})
        titles = [text.get_text() for text in figure.axes[0].texts]
        assert titles == ["reference", f"h: DER {100 * each.der:.1f} %"]


def test_errors_outside_the_uem_are_not_drawn() -> None:
    regions = [Region("m", 5, 10), Region("m", 12, 20)]
    figure = one([turn(0, 11, "A")], [], regions)
    assert errors(figure)["miss"] == [(5, 10)]
    assert bars(figure, timeline._SPEAKERS[0]) == [(0, 11)]
    box = figure.axes[0].patches[0]
    assert (box.get_x(), box.get_x() + box.get_width()) == (10, 12)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()][-1] == "not scored"


def test_speakers_in_excess_share_a_lane() -> None:
    found = [turn(index, index + 1, f"s{index}") for index in range(8)]
    figure = one([turn(0, 1, "A")], found)
    assert lanes(figure) == ["A", "A", "extra 1", "extra 2", "extra 3–7", "errors"]
    assert len(bars(figure, timeline._EXTRA)) == 7
    assert len(errors(figure)["false alarm"]) == 7


@pytest.mark.parametrize(
    ("seconds", "rows", "length"),
    [(8, 1, 8), (60, 1, 60), (301, 1, 301), (400, 2, 200), (3600, 12, 300), (9000, 12, 750)],
)
def test_long_recordings_take_several_rows(seconds: float, rows: int, length: float) -> None:
    start = 35.0
    figure = one([turn(0, 9999, "A")], [], [Region("m", start, start + seconds)])
    assert len(figure.axes) == rows
    for index, axes in enumerate(figure.axes):
        low = start + index * length
        assert axes.get_xlim() == pytest.approx((low, low + length))
        assert bars(figure, timeline._SPEAKERS[0], index) == [(0, 9999)]
    assert max(figure.get_size_inches()) * 150 < 2**16  # the largest image of matplotlib


def test_clock() -> None:
    def label(seconds: float, extent: float) -> str:
        figure = one([], [], [Region("m", 0, extent)])
        return figure.axes[0].xaxis.get_major_formatter()(seconds, None)

    assert label(90, 300) == "1:30"
    assert label(3599, 3599) == "59:59"
    assert label(90, 3600) == "0:01:30"
    assert label(3661, 7200) == "1:01:01"


@pytest.mark.parametrize("seconds", [10, 60, 290, 700, 3700])
def test_labels_do_not_overlap(seconds: float) -> None:
    names = [f"speaker{index}" for index in range(6)]
    turns = [turn(t, t + 5, names[t % 6]) for t in range(0, int(seconds) - 5, 3)]
    hypotheses = [Hypothesis(name, turns[:-1], 0.1) for name in ("dense", "pruned")]
    figure = draw_timeline(turns, hypotheses, [Region("m", 0, seconds)])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [t for axes in figure.axes for t in (*axes.get_yticklabels(), *axes.texts)]
    texts += [t for axes in figure.axes for t in _visible(axes)]
    texts += [axes.xaxis.label for axes in figure.axes] + [figure.axes[0]._left_title]
    texts += figure.legends[0].get_texts()
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_text()]
    for (first, a), (second, b) in itertools.combinations(boxes, 2):
        assert not a.overlaps(b), (first, second)
    for name, box in boxes:
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width, name


def _visible(axes):
    low, high = axes.get_xlim()
    ticks = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    return [label for place, label in ticks if low <= place <= high]


@pytest.mark.parametrize("found", [[], [turn(1, 2, "A")]])
def test_silence(found: Sequence[Turn], tmp_path: Path) -> None:
    figure = draw_timeline([], [Hypothesis("h", found, None)], REGIONS)
    save_plot(figure, tmp_path / "a.png")
    assert figure.axes[0].texts[1].get_text() == "h: DER n/a"
    assert errors(figure)["false alarm"] == [(t.start, t.end) for t in found]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_names_are_not_formulas(tmp_path: Path) -> None:
    name = r"$\frac{MÉO<&$"
    regions = [Region(name, 0, 5)]
    turns = [Turn(name, 0, 2, name)]
    figure = draw_timeline(turns, [Hypothesis(name, turns, 0.0)], regions)
    save_plot(figure, tmp_path / "a.png")
    assert lanes(figure) == [name, name, "errors"]


def test_file_name_of_any_recording() -> None:
    assert timeline_name("MÉO069") == "timeline_MÉO069.png"
    assert Path("f", timeline_name("../../x")).parent == Path("f")


def test_median_and_worst_recordings() -> None:
    rates = {"a": 0.3, "b": None, "c": 0.1, "d": 0.2, "f": 0.4, "e": 0.4}
    scores = {"recordings": {name: {"der": der} for name, der in rates.items()}}
    assert median_recording(scores) == "a"
    assert by_der(scores) == ["e", "f", "a", "d", "c"]
    with pytest.raises(DataError, match="speech"):
        median_recording({"recordings": {"b": {"der": None}}})


# Simulations of complete colour blindness, on linear RGB (Machado et al., 2009).
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_errors_differ_for_the_colour_blind(blindness: str) -> None:
    def lab(colour: str) -> np.ndarray:
        rgb = np.array(to_rgb(colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        seen = np.clip(np.array(BLINDNESS[blindness]) @ linear, 0, 1)
        to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722],
                           [0.0193, 0.1192, 0.9505]])  # fmt: skip
        x, y, z = np.cbrt(to_xyz @ seen / [0.9505, 1.0, 1.089])
        return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    colours = [lab(colour) for _, colour in ERRORS.values()]
    for first, second in itertools.combinations(colours, 2):
        assert np.linalg.norm(first - second) > 25
