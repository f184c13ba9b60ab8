"""Regions survive a round trip, and malformed UEM is refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet_prune.data.tables import DataError
from espnet_prune.data.uem import Region, read_uem, write_uem


def test_round_trip_sorts(tmp_path: Path) -> None:
    regions = {"b": [Region("b", 5, 6.5), Region("b", 0, 1)], "a": [Region("a", 0.25, 30)]}
    write_uem(tmp_path / "uem", regions)
    assert (tmp_path / "uem").read_text() == (
        "a 1 0.2500 30.0000\nb 1 0.0000 1.0000\nb 1 5.0000 6.5000\n"
    )
    assert read_uem(tmp_path / "uem") == {"a": regions["a"], "b": regions["b"][::-1]}


def test_blank_lines_and_comments_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "uem").write_text(";; scored regions\n\n a  NA 1 2 \n")
    assert read_uem(tmp_path / "uem") == {"a": [Region("a", 1, 2)]}


def test_byte_order_mark_is_no_part_of_an_id(tmp_path: Path) -> None:
    (tmp_path / "uem").write_text("a 1 1 2\n", encoding="utf-8-sig")
    assert list(read_uem(tmp_path / "uem")) == ["a"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a 1 0", "expected 4 fields, found 3; write"),
        ("a 1 0 x", "expected the end in seconds, .* found 'x'; write"),
        ("a 1 nan 1", "expected the start in seconds, .* found 'nan'"),
        ("a 1 -1 1", "start of 0 s or later, found -1 s"),
        ("a 1 2 2", "an end after the start, found 2 s to 2 s; correct"),
        ("a 1 3 2", "an end after the start, found 3 s to 2 s"),
    ],
)
def test_malformed_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "uem").write_text(f"a 1 0 1\n{line}\n")
    with pytest.raises(DataError, match=rf"uem:2: .*{message}"):
        read_uem(tmp_path / "uem")
