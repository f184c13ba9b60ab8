"""A plot's file is of the format that its name says, and is found to be writable before work."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet_prune.bin import report
from espnet_prune.report.figure import FORMATS, new_figure, save_plot

pytest.importorskip("matplotlib")
STARTS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml", "jpg": b"\xff\xd8\xff"}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("upper", [False, True])
def test_the_suffix_says_the_format(tmp_path: Path, name: str, upper: bool) -> None:
    path = tmp_path / f"plot.{name.upper() if upper else name}"
    save_plot(new_figure(1, 1), path)
    assert path.read_bytes().startswith(STARTS[name])


@pytest.mark.parametrize("name", ["plot", "plot.txt", "plot.png.gz"])
def test_other_suffixes_are_refused_before_anything_is_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(SystemExit, match="expected a suffix of png, pdf, svg, jpg") as ended:
        report.main(["timeline", "none", "none", "--output", str(tmp_path / name)])
    assert ended.value.code == 2 and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["timeline", "none", "none", "--recording", "a", "--output", "{}/plot.pdf"],
        ["pruning", "none", "none", "none", "--output", "{}"],
        ["speech", "a=none", "--seed", "0", "--output", "{}/RESULTS.md"],
    ],
)
def test_outputs_are_tried_before_anything_is_read(tmp_path: Path, arguments) -> None:
    (tmp_path / "file").write_text("")
    command = [argument.format(tmp_path / "file") for argument in arguments]
    with pytest.raises(SystemExit, match=f"{tmp_path}/file.*(exists|directory)") as ended:
        report.main(command)
    assert ended.value.code == 2
