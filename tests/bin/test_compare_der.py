"""The command prints every recording's difference, the interval and a conclusion."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from espnet_prune.bin.compare_der import main


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Write three meetings of 100 s; A misses 10 s of each, B 12, 15 and 11 s."""
    for name, missed in (("ref", (0, 0, 0)), ("a", (10, 10, 10)), ("b", (12, 15, 11))):
        lines = [
            f"SPEAKER m{number} 1 {start} {100 - start} <NA> <NA> x <NA> <NA>\n"
            for number, start in enumerate(missed)
        ]
        (tmp_path / f"{name}.rttm").write_text("".join(lines))
    return [str(tmp_path / f"{name}.rttm") for name in ("ref", "a", "b")]


def test_table(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(files)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:5]] == [
        ["recording", "A", "%", "B", "%", "B", "-", "A"],
        ["m1", "10.00", "15.00", "5.00"],
        ["m0", "10.00", "12.00", "2.00"],
        ["m2", "10.00", "11.00", "1.00"],
        ["TOTAL", "10.00", "12.67", "2.67"],
    ]
    assert lines[5] == "B is worse by more than 0.5 points in 100.0 % of the resamples."
    assert lines[6] == (
        "Degradation: B is worse than A by more than 0.5 points "
        "(95 % interval of the difference +1.00 to +5.00 points)."
    )
    assert len(lines) == 7


def test_json(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main([*files, "--json", "--margin", "0.06", "--bootstrap", "2000"])
    found = json.loads(capsys.readouterr().out)
    assert found["conclusion"].startswith("No degradation: B is not worse than A by more than 6 p")
    assert list(found["recordings"]) == ["m1", "m0", "m2"]
    assert found["recordings"]["m1"] == pytest.approx(
        {"der_a": 0.1, "der_b": 0.15, "difference": 0.05}
    )
    keys = ("der_a", "der_b", "difference", "low", "high", "margin", "worse")
    assert [found[key] for key in keys] == pytest.approx(
        [0.1, 0.38 / 3, 0.08 / 3, 0.01, 0.05, 0.06, 0]
    )


def test_uem_and_collar(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "uem").write_text("m0 1 0 50\nm1 1 0 50\n")
    main([*files, "--json", "--uem", str(tmp_path / "uem"), "--collar", "1"])
    found = json.loads(capsys.readouterr().out)
    # Of 50 s, the first is not scored.
    assert found["recordings"]["m0"]["der_a"] == pytest.approx(9 / 49)
    assert found["recordings"].keys() == {"m0", "m1"}


def test_few_recordings_are_told(files: list[str], caplog: pytest.LogCaptureFixture) -> None:
    main(files)
    assert "3 recordings are few" in caplog.text


def test_silent_recording_is_null(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "uem").write_text("m0 1 0 100\nm1 1 0 100\nsilent 1 0 100\n")
    main([*files, "--json", "--uem", str(tmp_path / "uem")])
    found = json.loads(capsys.readouterr().out)
    assert found["recordings"]["silent"] == dict.fromkeys(("der_a", "der_b", "difference"))


def test_failure_is_one_message(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "uem").write_text("m0 1 0 50\n")
    with pytest.raises(SystemExit, match="compare_der: expected two recordings with speech"):
        main([*files, "--uem", str(tmp_path / "uem")])
    with pytest.raises(SystemExit, match=r"compare_der: .*No such file"):
        main([*files[:2], "absent.rttm"])
