"""The command writes a PNG of one recording, or says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet_prune.bin import report_plots
from espnet_prune.bin.report import main
from espnet_prune.report import timeline

pytest.importorskip("matplotlib")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write a reference of 10 s and a hypothesis with 1 s missed and 2 s of false alarm."""
    monkeypatch.chdir(tmp_path)
    Path("ref.rttm").write_text(
        "SPEAKER MÉO069 1 0 10 <NA> <NA> A <NA> <NA>\nSPEAKER b 1 0 9 <NA> <NA> A <NA> <NA>\n",
        encoding="utf-8",
    )
    Path("hyp.rttm").write_text("SPEAKER MÉO069 1 1 11 <NA> <NA> x <NA> <NA>\n", "utf-8")
    return ["timeline", "ref.rttm", "hyp.rttm"]


def drawn(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> tuple:
    """The arguments of the plot that the command asks for."""
    calls: list[tuple] = []
    monkeypatch.setattr(timeline, "draw_timeline", lambda *call: calls.append(call))
    monkeypatch.setattr(report_plots, "save_plot", lambda *call: None)
    main(command)
    return calls[0]


def test_png(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main([*files, "--recording", "MÉO069"])
    assert capsys.readouterr().out == "timeline_MÉO069.png\n"
    assert Path("timeline_MÉO069.png").read_bytes().startswith(b"\x89PNG")
    main([*files, "--recording", "MÉO069", "--output", "folder/x.png"])
    assert Path("folder/x.png").read_bytes() == Path("timeline_MÉO069.png").read_bytes()


def test_extent_of_the_turns(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    reference, (hypothesis,), (region,) = drawn(monkeypatch, [*files, "--recording", "MÉO069"])
    assert (region.start, region.end) == (0, 12)
    assert [turn.speaker for turn in reference] == ["A"]
    assert hypothesis.name == "hyp.rttm"
    assert hypothesis.der == pytest.approx(0.3)


def test_uem(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("uem").write_text("MÉO069 1 0 10\nsilent 1 0 5\n", "utf-8")
    options = [*files, "--uem", "uem", "--recording"]
    _, (hypothesis,), (region,) = drawn(monkeypatch, [*options, "MÉO069"])
    assert (region.start, region.end) == (0, 10)
    assert hypothesis.der == pytest.approx(0.1)
    _, (hypothesis,), _ = drawn(monkeypatch, [*options, "silent"])
    assert hypothesis.der is None
    with pytest.raises(SystemExit, match=r"uem: expected .* 'b', found MÉO069, silent"):
        main([*options, "b"])


def test_recording_without_hypothesis(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _, (hypothesis,), _ = drawn(monkeypatch, [*files, "--recording", "b"])
    assert hypothesis.der == 1


def test_unknown_recording(files: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"^report: ref\.rttm: .*'x', found MÉO069, b;"):
        main([*files, "--recording", "x"])
    assert not list(Path().glob("*.png"))


def test_missing_file(files: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"report: .*No such file"):
        main(["timeline", "absent.rttm", files[2], "--recording", "b"])
