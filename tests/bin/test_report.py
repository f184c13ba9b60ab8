"""The command writes figures, tables, plots and the page of it all, or names what is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from espnet_prune.bin.report import main
from tests.report.page import Page
from tests.report.recipe import make_recipe

pytest.importorskip("matplotlib")


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """The command line for a complete recipe."""
    make_recipe(tmp_path / "mini" / "exp", tmp_path / "test")
    data_dir = str(tmp_path / "test")
    options = ["--data_dir", data_dir, "--set", "test", "--seed", "5"]
    return ["diarization", str(tmp_path / "mini" / "exp"), *options]


def test_report(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(command)
    exp = Path(command[1])
    results = json.loads((exp / "results.json").read_text())
    assert results["seed"] == 5
    assert results["speedup"] == results["dense"]["seconds"] / results["pruned"]["seconds"]
    assert results["pruned"]["params"] < results["dense"]["params"]
    assert f"{100 * results['pruned']['der']:.2f}" in capsys.readouterr().out
    assert (exp / "RESULTS.md").read_text().startswith("# RESULTS\n")
    assert len(list((exp / "images").iterdir())) == 4
    page = Page((exp / "report.html").read_text(encoding="utf-8"))
    assert page.texts["h1"] == [f"{exp.parents[1].name}/mini/exp"]
    cost = page.table("Size and speed")
    for row, name in (("parameters (M)", "params"), ("time of 8 s (ms)", "seconds")):
        expected = [results[model][name] for model in ("dense", "pruned")]
        assert [each.value for each in cost.row(row)] == expected


def test_report_without_further_distillation(command: list[str]) -> None:
    exp = Path(command[1])
    shutil.rmtree(exp / "distill_train")
    main(command)
    page = Page((exp / "report.html").read_text(encoding="utf-8"))
    assert not any(table.caption.startswith("Further") for table in page.tables)


def test_missing_input(command: list[str]) -> None:
    missing = Path(command[1]) / "prune_train" / "checkpoint.pth"
    missing.unlink()
    with pytest.raises(SystemExit, match=r"^report: .*prune_train/checkpoint\.pth.*run stage 6$"):
        main(command)
    assert not (Path(command[1]) / "results.json").exists()
    assert not (Path(command[1]) / "report.html").exists()
