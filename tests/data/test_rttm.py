"""Turns survive a round trip, and malformed RTTM is refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet_prune.data.rttm import Turn, from_annotation, read_rttm, to_annotation, write_rttm
from espnet_prune.data.tables import DataError


def test_read_groups_recordings_in_any_order_and_skips_what_is_not_a_turn(tmp_path: Path) -> None:
    path = tmp_path / "rttm"
    path.write_text(
        ";; a comment\n"
        "SPKR-INFO b 1 <NA> <NA> <NA> unknown MÉO069 <NA> <NA>\n"
        "SPEAKER b 1 2.5 1 <NA> <NA> MÉO069 <NA> <NA>\n"
        "\n"
        "SPEAKER a 1 0 0.5 <NA> <NA> x <NA> <NA>\r\n"
        "SPEAKER\tb 1 0 1 <NA> <NA> no\u00a0break <NA> <NA>\n",
        encoding="utf-8",
    )
    assert read_rttm(path) == {
        "b": [Turn("b", 2.5, 1, "MÉO069"), Turn("b", 0, 1, "no\u00a0break")],
        "a": [Turn("a", 0, 0.5, "x")],
    }


def test_written_file_is_sorted_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "rttm"
    turns = {
        "b": [Turn("b", 2, 1, "y"), Turn("b", 0.0125, 0.02, "MÉO069")],
        "a": [Turn("a", 1, 1, "x")],
        "silent": [],
    }
    write_rttm(path, turns)
    assert path.read_text(encoding="utf-8").splitlines() == [
        "SPEAKER a 1 1.0000 1.0000 <NA> <NA> x <NA> <NA>",
        "SPEAKER b 1 0.0125 0.0200 <NA> <NA> MÉO069 <NA> <NA>",
        "SPEAKER b 1 2.0000 1.0000 <NA> <NA> y <NA> <NA>",
    ]
    assert read_rttm(path) == {"a": turns["a"], "b": turns["b"][::-1]}


def test_adjoining_turns_stay_adjoining_when_written(tmp_path: Path) -> None:
    first = Turn("a", 0.00004, 1.00004, "x")
    write_rttm(tmp_path / "rttm", {"a": [first, Turn("a", first.end, 1, "y")]})
    before, after = read_rttm(tmp_path / "rttm")["a"]
    assert before.end == pytest.approx(after.start, abs=1e-9)


def test_failed_write_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "rttm"
    path.write_text("earlier")
    with pytest.raises(DataError, match=r"0\.1 ms or longer"):
        write_rttm(path, {"a": [Turn("a", 1, 1e-6, "x")]})
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_annotation_round_trip_keeps_simultaneous_speakers() -> None:
    turns = [Turn("a", 0, 2, "x"), Turn("a", 0, 2, "y"), Turn("a", 1, 3, "x")]
    annotation = to_annotation(turns, "a")
    assert annotation.label_duration("x") == 4
    assert from_annotation(annotation) == turns


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SPEAKER a 1 0 1 <NA> <NA>", "expected 8 fields or more, found 7; write"),
        ("SPEAKER a 1 0 1e300 <NA> <NA> x", "expected the duration in seconds, 1e\\+07 at most"),
        ("SPEAKER a 1 inf 1 <NA> <NA> x", "expected the start in seconds, 1e\\+07 at most"),
        ("speaker a 1 0 1 <NA> <NA> x <NA> <NA>", "expected a line type of RTTM, found 'speaker'"),
        ("SPEAKER a 1 zero 1 <NA> <NA> x <NA> <NA>", "expected the start .* found 'zero'; write"),
        ("SPEAKER a 1 nan 1 <NA> <NA> x <NA> <NA>", "expected the start .* found 'nan'"),
        ("SPEAKER a 1 0 inf <NA> <NA> x <NA> <NA>", "expected the duration .* found 'inf'"),
        ("SPEAKER a 1 -1 1 <NA> <NA> x <NA> <NA>", "start of 0 s or later, found -1 s; correct"),
        ("SPEAKER a 1 0 0 <NA> <NA> x <NA> <NA>", "duration above 0 s, found 0 s; correct"),
        ("SPEAKER a 1 0 -2 <NA> <NA> x <NA> <NA>", "duration above 0 s, found -2 s"),
    ],
)
def test_malformed_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "rttm"
    path.write_text(f"SPEAKER a 1 0 1 <NA> <NA> x <NA> <NA>\n{line}\n")
    with pytest.raises(DataError, match=rf"rttm:2: .*{message}"):
        read_rttm(path)


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rttm"
    path.write_bytes("SPEAKER a 1 0 1 <NA> <NA> MÉO069 <NA> <NA>\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"rttm:1: expected UTF-8 text, found .*; convert"):
        read_rttm(path)


def test_every_malformed_line_is_reported_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "rttm"
    path.write_text("wrong\n" * 30)
    with pytest.raises(DataError) as caught:
        read_rttm(path)
    assert len(caught.value.args) == 30
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "... and 10 more problem(s)"


@pytest.mark.parametrize("label", ["", "two words", " x", "x\n"])
def test_turn_refuses_a_label_that_rttm_cannot_hold(label: str) -> None:
    with pytest.raises(ValueError, match="label without blanks"):
        Turn("a", 0, 1, label)
