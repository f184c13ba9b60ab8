"""Plots are images, show what they should, and survive odd recipes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from matplotlib import image
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from espnet_prune.bin import report
from espnet_prune.data import DataError, read_rttm
from espnet_prune.encoder import ConvLayerConfig
from espnet_prune.report.history import History, read_history
from espnet_prune.report.inputs import Inputs
from espnet_prune.report.plots import (
    PRUNING,
    STRUCTURE,
    draw_pruning,
    draw_recording,
    draw_structure,
    plot_all,
)
from espnet_prune.report.rates import read_scores
from tests.encoders import tiny_config
from tests.report.recipe import dense_config, pruned_config


def lines_of(figure: Figure) -> dict[object, Line2D]:
    return {line.get_label(): line for axes in figure.axes for line in axes.lines}


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


def test_structure_counts_kept_units() -> None:
    conv, heads, ffn = draw_structure(dense_config(), pruned_config()).axes
    assert [text.get_text() for text in conv.texts] == [f"{n} / 8" for n in (8, 5, 4, 6, 3, 7, 2)]
    assert [text.get_text() for text in heads.texts] == ["2 / 4", "1 / 4", "3 / 4"]
    assert [text.get_text() for text in ffn.texts] == ["9 / 32", "0 / 32", "20 / 32"]
    assert [bar.get_width() for bar in heads.patches[3:]] == [50, 25, 75]


def test_structure_of_a_single_convolution() -> None:
    dense = tiny_config("whisper")
    figure = draw_structure(dense, replace(dense, conv_layers=(ConvLayerConfig(5, 3, 1),)))
    conv, heads, ffn = figure.axes
    assert [text.get_text() for text in conv.texts] == ["5 / 7"]
    assert conv.get_ylim() == heads.get_ylim() == ffn.get_ylim()


def test_emptied_dense_layer_has_no_share() -> None:
    dense = pruned_config()
    assert draw_structure(dense, replace(dense)).axes[2].patches[4].get_width() == 0


@pytest.mark.parametrize("further", [True, False])
def test_pruning_curves(inputs: Inputs, further: bool) -> None:
    distill = read_history(inputs.distill) if inputs.distill and further else None
    lines = lines_of(draw_pruning(read_history(inputs.prune), distill))
    assert list(lines["target"].get_ydata())[-1] == pytest.approx(80)
    assert list(lines["pruning, valid"].get_xdata()) == list(range(1, 9))
    assert ("distilled further, valid" in lines) == further
    if further:
        assert list(lines["distilled further, train"].get_xdata()) == [9, 10, 11, 12]
    assert {"λ₁", "λ₂"} <= set(lines)


def test_curves_of_two_budgets_and_a_task() -> None:
    stats = {"sparsity": 0.5, "target_sparsity": 0.5, "loss_task": 2.0, "loss": 9.0}
    stats |= {f"lambda{n}_{part}": 1.0 for n in (1, 2) for part in ("front_end", "transformer")}
    prune = History(Path(), {epoch: {"train": stats, "valid": stats} for epoch in (1, 2)})
    further = History(Path(), {1: {"train": {"loss": 1.0}, "valid": {"loss": 1.5}}})
    lines = lines_of(draw_pruning(prune, further))
    assert list(lines["pruning, valid"].get_ydata()) == [2.0, 2.0]
    assert list(lines["trained further, valid"].get_ydata()) == [1.5]
    for part in ("front end", "transformer"):
        assert {f"λ₁ {part}", f"λ₂ {part}"} <= set(lines)


def test_the_command_plots_what_was_cut(inputs: Inputs, tmp_path: Path, capsys) -> None:
    dense, pruned = (files.model for files in (inputs.dense, inputs.pruned))
    for output, other in (("cut", pruned), ("sparse", dense)):
        words = ["pruning", inputs.prune.parent, dense, other, "--output", tmp_path / output]
        report.main([*map(str, words)])
    assert {path.name for path in (tmp_path / "cut").iterdir()} == {PRUNING, STRUCTURE}
    assert {path.name for path in (tmp_path / "sparse").iterdir()} == {PRUNING}
    with pytest.raises(SystemExit, match="checkpoint"):
        words = ["pruning", tmp_path / "none", dense, pruned, "--output", tmp_path / "x"]
        report.main([*map(str, words)])


def test_timeline_of_both_models(inputs: Inputs) -> None:
    axes = draw_recording(inputs, "meeting1").axes[0]
    rates = [
        read_scores(files.scores)["recordings"]["meeting1"]["der"]
        for files in (inputs.dense, inputs.pruned)
    ]
    assert [text.get_text() for text in axes.texts] == [
        "reference",
        f"dense: DER {100 * rates[0]:.1f} %",
        f"pruned: DER {100 * rates[1]:.1f} %",
    ]


def test_timeline_of_a_recording_without_turns(inputs: Inputs, tmp_path: Path) -> None:
    lines = inputs.pruned.rttm.read_text().splitlines(keepends=True)
    rttm = tmp_path / "test.rttm"
    rttm.write_text("".join(line for line in lines if "meeting1" not in line))
    assert "meeting1" not in read_rttm(rttm)
    figure = draw_recording(replace(inputs, pruned=replace(inputs.pruned, rttm=rttm)), "meeting1")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels.count("errors") == 2


def test_files_that_lack_the_recording_are_refused(inputs: Inputs, tmp_path: Path) -> None:
    scores = json.loads(inputs.dense.scores.read_text())
    del scores["recordings"]["meeting1"]
    partial, empty = tmp_path / "test.json", tmp_path / "uem"
    partial.write_text(json.dumps(scores))
    empty.touch()
    lacking = {
        str(partial): replace(inputs, dense=replace(inputs.dense, scores=partial)),
        str(empty): replace(inputs, uem=empty),
    }
    for name, changed in lacking.items():
        with pytest.raises(DataError, match=f"{name}: expected the recording 'meeting1', found"):
            draw_recording(changed, "meeting1")
