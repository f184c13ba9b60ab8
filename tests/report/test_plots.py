"""Plots are images, show what they should, and survive odd recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from matplotlib import image
from matplotlib.figure import Figure

from espnet_prune.diarization import DataError, Region, Turn
from espnet_prune.report import curves_plot, structure_plot, timeline_plot
from espnet_prune.report.history import read_history
from espnet_prune.report.inputs import Inputs
from espnet_prune.report.plots import plot_all
from espnet_prune.report.timeline_plot import Hypothesis, median_recording
from tests.report.recipe import dense_config, pruned_config


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that a test would have saved."""
    kept: list[Figure] = []
    for module in (curves_plot, structure_plot, timeline_plot):
        monkeypatch.setattr(module, "save_png", lambda figure, path: kept.append(figure))
    return kept


def bars(figure: Figure, panel: int, colour: str) -> list[tuple[float, float]]:
    """Start and end of every bar of a colour in a timeline."""
    from matplotlib.colors import to_rgba

    spans = []
    for collection in figure.axes[panel].collections:
        if tuple(collection.get_facecolor()[0]) == to_rgba(colour):
            for bar in collection.get_paths():
                low, high = bar.get_extents().intervalx
                spans.append((float(low), float(high)))
    return spans


def test_all_plots_are_images(inputs: Inputs, tmp_path: Path) -> None:
    plot_all(inputs, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "kept_structure.png",
        "pruning_curves.png",
        "training_curves.png",
        "timeline_meeting2.png",  # errors grow from meeting 1 to 3
    }
    for name in names:
        pixels = image.imread(tmp_path / name)
        assert min(pixels.shape[:2]) > 300
        assert pixels[..., :3].std() > 0.05


def test_structure_counts_kept_units(figures: list[Figure]) -> None:
    structure_plot.plot_structure(dense_config(), pruned_config(), Path())
    conv, heads, ffn = figures[0].axes
    assert [text.get_text() for text in conv.texts] == [f"{n} / 8" for n in (8, 5, 4, 6, 3, 7, 2)]
    assert [text.get_text() for text in heads.texts] == ["2 / 4", "1 / 4", "3 / 4"]
    assert [text.get_text() for text in ffn.texts] == ["9 / 32", "0 / 32", "20 / 32"]
    assert [bar.get_width() for bar in heads.patches[3:]] == [50, 25, 75]


@pytest.mark.parametrize("further", [True, False])
def test_pruning_curves(inputs: Inputs, figures: list[Figure], further: bool) -> None:
    distill = read_history(inputs.distill) if inputs.distill and further else None
    curves_plot.plot_pruning(read_history(inputs.prune), distill, Path())
    lines = {line.get_label(): line for axes in figures[0].axes for line in axes.lines}
    assert list(lines["target"].get_ydata())[-1] == pytest.approx(80)
    assert list(lines["pruning, valid"].get_xdata()) == list(range(1, 9))
    assert ("distilled further, valid" in lines) == further
    if further:
        assert list(lines["distilled further, train"].get_xdata()) == [9, 10, 11, 12]
    assert {"λ₁", "λ₂"} <= set(lines)


def test_timeline_maps_speakers_and_marks_errors(figures: list[Figure]) -> None:
    def turn(start: float, end: float, speaker: str) -> Turn:
        return Turn("m", start, end - start, speaker)

    reference = [turn(0, 4, "A"), turn(5, 9, "B"), turn(10, 12, "A")]
    # Named crosswise; missed 3 to 4, false alarm 9 to 9.5, and a stranger who says A's last words.
    found = [turn(0, 3, "B"), turn(5, 9.5, "x"), turn(10, 12, "y")]
    timeline_plot.plot_timeline(reference, [Hypothesis("h", found, 0.1)], [Region("m", 0, 20)],
                                Path())  # fmt: skip
    (figure,) = figures
    labels = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert labels == ["A", "B", "extra 1", "errors"]
    errors = {name: bars(figure, 1, colour) for name, colour in timeline_plot._ERRORS.values()}
    assert errors == {"miss": [(3, 4)], "false alarm": [(9, 9.5)], "confusion": [(10, 12)]}


@pytest.mark.parametrize("found", [[], [Turn("m", 1, 2, "A")]])
def test_timeline_of_silence_and_of_a_long_meeting(
    figures: list[Figure], found: Sequence[Turn]
) -> None:
    reference = [Turn("m", 0, 1000, "A")]
    timeline_plot.plot_timeline(reference, [Hypothesis("h", found, 1.0)], [Region("m", 0, 1000)],
                                Path())  # fmt: skip
    assert figures[0].axes[0].get_xlim() == (0, timeline_plot.MAX_SECONDS)


def test_median_recording() -> None:
    rates = {"a": 0.3, "b": None, "c": 0.1, "d": 0.2, "e": 0.4}
    scores = {"recordings": {name: {"der": der} for name, der in rates.items()}}
    assert median_recording(scores) == "d"
    with pytest.raises(DataError, match="speech"):
        median_recording({"recordings": {"b": {"der": None}}})


def test_emptied_dense_layer_has_no_share(figures: list[Figure]) -> None:
    dense = pruned_config()
    structure_plot.plot_structure(dense, replace(dense), Path())
    assert figures[0].axes[2].patches[4].get_width() == 0
