"""The command prints the error rates as a table in percent or as JSON fractions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from espnet_prune.bin.score_der import main


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Write a reference of 10 s and a hypothesis with 1 s missed and 2 s of false alarm."""
    reference, hypothesis = tmp_path / "ref.rttm", tmp_path / "hyp.rttm"
    reference.write_text("SPEAKER meeting 1 0 10 <NA> <NA> A <NA> <NA>\n")
    hypothesis.write_text("SPEAKER meeting 1 1 11 <NA> <NA> x <NA> <NA>\n")
    return str(reference), str(hypothesis)


def test_table(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    main([*files])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["recording", "DER", "%", "miss", "FA", "conf", "JER", "%",
                                "speech", "s"]  # fmt: skip
    assert lines[1].split() == ["meeting", "30.00", "10.00", "20.00", "0.00", "25.00", "10.00"]
    assert lines[2].split() == ["TOTAL", *lines[1].split()[1:]]


def test_json(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    main([*files, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found.pop("recordings") == {"meeting": found}
    assert found == pytest.approx(
        {"der": 0.3, "miss": 0.1, "false_alarm": 0.2, "confusion": 0, "jer": 0.25, "speech": 10}
    )


def test_uem_and_collar(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "uem").write_text("meeting 1 0 10\n")
    main([*files, "--json", "--uem", str(tmp_path / "uem"), "--collar", "0.25"])
    found = json.loads(capsys.readouterr().out)
    assert found["speech"] == pytest.approx(9.5)
    assert found["der"] == pytest.approx(0.75 / 9.5)


def test_empty_reference(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(files[0]).write_text("")
    (tmp_path / "uem").write_text("meeting 1 0 10\n")
    options = [*files, "--uem", str(tmp_path / "uem")]
    main(options)
    assert capsys.readouterr().out.splitlines()[-1].split()[:2] == ["TOTAL", "n/a"]
    main([*options, "--json"])
    assert json.loads(capsys.readouterr().out)["der"] is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SPEAKER other 1 0 1 <NA> <NA> x <NA> <NA>", "found 'other'"),
        ("SPEAKER meeting 1 0 0 <NA> <NA> x <NA> <NA>", r"hyp\.rttm:1: expected a duration"),
    ],
)
def test_failure_is_one_message(files: tuple[str, str], line: str, message: str) -> None:
    Path(files[1]).write_text(line)
    with pytest.raises(SystemExit, match=rf"score_der: .*{message}"):
        main([*files])


def test_missing_file_is_one_message(files: tuple[str, str]) -> None:
    with pytest.raises(SystemExit, match=r"score_der: .*No such file"):
        main([files[0], "absent.rttm"])


@pytest.fixture
def two(tmp_path: Path) -> list[str]:
    """Write two meetings of 10 s, of which 1 s and 5 s are missed."""
    for name, missed in (("ref", (0, 0)), ("hyp", (1, 5))):
        lines = [
            f"SPEAKER m{number} 1 {start} {10 - start} <NA> <NA> x <NA> <NA>\n"
            for number, start in enumerate(missed)
        ]
        (tmp_path / name).write_text("".join(lines))
    return [str(tmp_path / "ref"), str(tmp_path / "hyp"), "--bootstrap", "2000"]


def test_intervals(two: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(two)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[-3:]]
    assert lines[0][:2] == ["TOTAL", "30.00"]
    assert lines[1:] == [
        ["95", "%", "low", "10.00", "10.00"], ["95", "%", "high", "50.00", "50.00"],
    ]  # fmt: skip
    main([*two, "--json", "--seed", "1"])
    found = json.loads(capsys.readouterr().out)
    ends = [found[f"{rate}_{end}"] for rate in ("der", "jer") for end in ("low", "high")]
    assert ends == pytest.approx([0.1, 0.5, 0.1, 0.5])
    assert "der_low" not in found["recordings"]["m0"]


def test_no_interval_of_one_recording(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    main([*files, "--bootstrap", "10"])
    assert capsys.readouterr().out.splitlines()[-1].split() == ["95", "%", "high", "n/a", "n/a"]
    main([*files, "--bootstrap", "10", "--json"])
    assert json.loads(capsys.readouterr().out)["der_low"] is None


def test_resamples_are_needed(two: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*two[:-1], "0"])
    assert "--bootstrap: expected a whole number above 0, found '0'" in capsys.readouterr().err
