"""The page is well-formed, needs nothing else, and every number in it is that of its source."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from espnet_prune.data import DataError
from espnet_prune.report import html
from espnet_prune.report import results as results_module
from espnet_prune.report.history import read_history
from espnet_prune.report.html import render_report
from espnet_prune.report.inputs import Inputs, find_inputs
from espnet_prune.report.plots import plot_all
from espnet_prune.report.results import Results, gather
from tests.report.page import Page
from tests.report.recipe import dense_config, pruned_config

ODD = "MÉO069<u>&\"'"
ODD_SPEAKER = "Zoë<u>&$x$"
RATES = ("der", "miss", "false_alarm", "confusion", "jer")


@pytest.fixture(scope="module")
def results(inputs: Inputs) -> Results:
    """Results of the made-up recipe, with an inference in another precision."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results_module, "median_seconds", lambda dense, pruned: (0.0625, 0.0213))
        found = gather(inputs, seed=7)
    return replace(
        found,
        dense=replace(found.dense, der_by_variant={"bfloat16": 0.1234567}),
        pruned=replace(found.pruned, der_by_variant={"bfloat16": 0.1298, "int8": 0.131}),
    )


@pytest.fixture(scope="module")
def images(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    plot_all(inputs, folder)
    return folder


@pytest.fixture(scope="module")
def source(inputs: Inputs, results: Results, images: Path) -> str:
    return render_report(inputs, results, images, "mini/diar1/exp")


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


@pytest.fixture
def recipe(inputs: Inputs, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(inputs.reference.parents[1], tmp_path / "recipe"))


def scores_of(inputs: Inputs) -> tuple[dict, dict]:
    dense, pruned = (json.loads(f.scores.read_text()) for f in (inputs.dense, inputs.pruned))
    return dense["recordings"], pruned["recordings"]


def numbers(value: object) -> Iterator[float]:
    if isinstance(value, dict):
        for each in value.values():
            yield from numbers(each)
    elif isinstance(value, (int, float)):
        yield value


def shown(text: str) -> float:
    return float(text.rstrip("x% "))


def test_is_well_formed_and_says_what_it_is(page: Page) -> None:
    assert page.texts["title"] == ["mini/diar1/exp: results on test"]
    assert page.texts["h1"] == ["mini/diar1/exp"]
    assert ("html", "lang", "en") in page.attributes
    ids = page.values("id")
    assert len(ids) == len(set(ids))


def test_needs_nothing_else(page: Page, source: str, images: Path) -> None:
    assert not re.search(r"https?:|url\(|@import|srcset", source)
    assert not {"link", "iframe", "object", "base"} & set(page.tags)
    targets = page.values("href")
    assert targets and set(targets) <= {f"#{each}" for each in page.values("id")}
    embedded = page.images()
    for name in ("kept_structure.png", "pruning_curves.png", "training_curves.png"):
        assert (images / name).read_bytes() in embedded
    assert all(png.startswith(b"\x89PNG\r\n\x1a\n") for png in embedded)


def test_images_and_tables_are_described(page: Page) -> None:
    alternatives = [v for tag, name, v in page.attributes if (tag, name) == ("img", "alt")]
    assert len(alternatives) == page.tags.count("img") == len(set(alternatives)) == 6
    assert all(len(text) > 20 for text in alternatives)
    assert all(table.caption for table in page.tables)


def test_every_result_is_in_the_page(page: Page, results: Results) -> None:
    figures = json.loads(json.dumps(asdict(results)))
    values = {float(value) for value in page.values("value")}
    assert set(numbers(figures)) <= values


@pytest.mark.parametrize(
    ("row", "name", "scale", "digits"),
    [
        ("parameters (M)", "params", 1e-6, 3),
        ("MACs (G per s of audio)", "macs", 1e-9, 3),
        ("time of 8 s (ms)", "seconds", 1000, 1),
        ("parameters with head (M)", "model_params", 1e-6, 3),
    ],
)
def test_costs(
    page: Page, results: Results, row: str, name: str, scale: float, digits: int
) -> None:
    cells = page.table("Size and speed").row(row)
    for model, each in zip((results.dense, results.pruned), cells, strict=True):
        assert each.value == getattr(model, name)
        assert each.text == f"{scale * getattr(model, name):.{digits}f}"


def test_ratios(page: Page, results: Results) -> None:
    cost = page.table("Size and speed")
    dense, pruned = cost.row("sparsity (%)")
    assert (dense.value, pruned.value) == (0, results.sparsity)
    assert pruned.text == f"{100 * results.sparsity:.1f}"
    dense, pruned = cost.row("speed-up")
    assert (dense.value, pruned.value) == (1, results.speedup)
    assert pruned.text == "2.93x"
    tiles = [shown(text) for text in page.texts["dd"]]
    expected = (100 * results.sparsity, results.speedup, 100 * results.dense.der,
                100 * results.pruned.der)  # fmt: skip
    assert tiles == pytest.approx(expected, abs=0.051)


def test_rates(page: Page, results: Results) -> None:
    rates = page.table("Error rates on test")
    names = ("DER (%)", "miss (%)", "false alarm (%)", "confusion (%)", "JER (%)")
    for row, name in zip(names, RATES, strict=True):
        for model, each in zip((results.dense, results.pruned), rates.row(row), strict=True):
            assert each.value == getattr(model, name)
            assert each.text == f"{100 * getattr(model, name):.2f}"
    assert [each.text for each in rates.row("DER, bfloat16 (%)")] == ["12.35", "12.98"]
    assert [each.text for each in rates.row("DER, int8 (%)")] == ["n/a", "13.10"]


def test_recordings_from_worst_to_best(page: Page, inputs: Inputs) -> None:
    dense, pruned = scores_of(inputs)
    rows = page.table("Error rates of each recording").rows[2:]
    names = [row[0].text for row in rows]
    assert names == sorted(pruned, key=lambda name: -pruned[name]["der"])
    for name, (_, *cells) in zip(names, rows, strict=True):
        both = dense[name], pruned[name]
        parts = [each[part] for each in both for part in RATES[1:]]
        change = pruned[name]["der"] - dense[name]["der"]
        rates = [both[0]["der"], both[1]["der"], change, *parts]
        assert [each.value for each in cells] == [*rates, pruned[name]["speech"]]
        texts = [f"{100 * rate:.2f}" for rate in rates]
        texts[2] = f"{100 * change:+.2f}"
        assert [each.text for each in cells] == [*texts, f"{pruned[name]['speech']:.1f}"]


def test_every_column_has_a_button_that_sorts_it(page: Page) -> None:
    table = page.table("Error rates of each recording")
    assert sorted(map(int, page.values("data-column"))) == list(range(len(table.rows[-1])))
    assert page.tags.count("button") == len(table.rows[-1])


def test_worst_recordings_are_the_worst(
    inputs: Inputs, results: Results, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html, "WORST", 2)
    page = Page(render_report(inputs, results, images, "x"))
    _, pruned = scores_of(inputs)
    worst = sorted(pruned, key=lambda name: -pruned[name]["der"])[:2]
    assert page.texts["h3"] == worst
    alternatives = page.values("alt")[-2:]
    for name, text in zip(worst, alternatives, strict=True):
        assert f"Timeline of {name}: " in text
        assert f"pruned model (DER {100 * pruned[name]['der']:.2f} %)" in text


def test_kept_structure(page: Page) -> None:
    dense, pruned = dense_config(), pruned_config()
    channels = page.table("Channels kept").rows[1:]
    kept = [layer.channels for layer in pruned.conv_layers]
    assert [row[1].text for row in channels] == [*(f"{n} / 8" for n in kept), f"{sum(kept)} / 56"]
    units = page.table("Units kept")
    for index, layer in enumerate(pruned.layers):
        heads, ffn = units.row(str(index))
        assert heads.text == f"{len(layer.heads)} / {len(dense.layers[index].heads)}"
        assert ffn.text == f"{layer.ffn} / {dense.layers[index].ffn}"
    assert [each.text for each in units.row("all")] == ["6 / 12", "29 / 96"]


def test_training_curves_of_every_training(page: Page, inputs: Inputs) -> None:
    assert inputs.distill
    for caption, checkpoint, column, split, name in (
        (
            "Fine-tuning of the dense model (dense_train)",
            inputs.dense.checkpoint,
            3,
            "train",
            "der",
        ),
        ("Distillation and pruning", inputs.prune, 3, "valid", "sparsity"),
        ("Further distillation", inputs.distill, 2, "valid", "loss_distill"),
        ("Fine-tuning of the pruned model", inputs.pruned.checkpoint, 2, "valid", "loss"),
    ):
        epochs, values = read_history(checkpoint).curve(split, name)
        rows = page.table(caption).rows[1:]
        assert [int(row[0].text) for row in rows] == epochs
        assert [row[column].value for row in rows] == values


def test_environment_and_times(page: Page, results: Results) -> None:
    table = page.table("Environment")
    environment = results.environment
    assert table.row("date")[0].text == environment.date
    assert table.row("seed")[0].text == "7"
    assert table.row("PyTorch")[0].text == environment.torch
    times = page.table("Wall-clock")
    for name, seconds in results.train_seconds.items():
        assert times.row(name)[0].value == seconds
    assert times.row("prune_train")[0].text == "0:00:24"
    assert times.row("all")[0].value == pytest.approx(sum(results.train_seconds.values()))


def test_commit(inputs: Inputs, results: Results, images: Path) -> None:
    for commit, date in (("abc1", "2026-01-02"), (None, None)):
        environment = replace(results.environment, git_commit=commit, git_date=date)
        html = render_report(inputs, replace(results, environment=environment), images, "x")
        rows = {row[0].text: row[1:] for row in Page(html).table("Environment").rows}
        assert ("commit" in rows) == (commit is not None)
        if commit:
            assert rows["commit"][0].text == commit


def test_names_are_escaped(recipe: Path, results: Results, images: Path) -> None:
    for rttm in (recipe / "test" / "rttm", *(recipe / "exp").glob("diarized_*/*.rttm")):
        text = rttm.read_text().replace("meeting3", ODD).replace("anna", ODD_SPEAKER)
        rttm.write_text(text, encoding="utf-8")
    uem = recipe / "test" / "uem"
    uem.write_text(uem.read_text().replace("meeting3", ODD), encoding="utf-8")
    for path in (recipe / "exp").glob("diarized_*/*.json"):
        scores = json.loads(path.read_text())
        scores["recordings"][ODD] = scores["recordings"].pop("meeting3")
        path.write_text(json.dumps(scores))
    inputs = find_inputs(recipe / "exp", recipe / "test", "test")
    name = '</title><script>alert(1)</script>&é"'
    page = Page(render_report(inputs, replace(results, set=ODD), images, name))
    assert page.texts["h1"] == [name]
    assert page.texts["title"] == [f"{name}: results on {ODD}"]
    assert page.tags.count("script") == 1 and "u" not in page.tags
    assert page.texts["h3"][0] == ODD
    assert page.table("Error rates of each recording").rows[2][0].text == ODD
    assert page.table(f"Error rates on {ODD}")
    assert any(text.startswith(f"Timeline of {ODD}: ") for text in page.values("alt"))


def test_recording_without_speech_is_last(recipe: Path, results: Results, images: Path) -> None:
    for path in (recipe / "exp").glob("diarized_*/*.json"):
        scores = json.loads(path.read_text())
        scores["recordings"]["meeting3"] |= dict.fromkeys(RATES) | {"speech": 0.0}
        path.write_text(json.dumps(scores))
    inputs = find_inputs(recipe / "exp", recipe / "test", "test")
    page = Page(render_report(inputs, results, images, "x"))
    last = page.table("Error rates of each recording").rows[-1]
    assert [each.text for each in last] == ["meeting3", *["n/a"] * 11, "0.0"]
    assert "meeting3" not in page.texts["h3"]


def test_without_further_distillation(inputs: Inputs, results: Results, images: Path) -> None:
    page = Page(render_report(replace(inputs, distill=None), results, images, "x"))
    captions = [table.caption for table in page.tables]
    assert not any("Further" in caption for caption in captions)
    assert any("Distillation and pruning" in caption for caption in captions)


def test_different_recordings_are_refused(recipe: Path, results: Results, images: Path) -> None:
    path = recipe / "exp" / "diarized_dense" / "test.json"
    scores = json.loads(path.read_text())
    del scores["recordings"]["meeting2"]
    path.write_text(json.dumps(scores))
    inputs = find_inputs(recipe / "exp", recipe / "test", "test")
    with pytest.raises(DataError, match=r"test\.json: .*diarized_dense.*run stage 11 again"):
        render_report(inputs, results, images, "x")
