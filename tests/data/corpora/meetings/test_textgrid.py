"""TextGrids as corpora have them are read; broken ones are refused with their name."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet_prune.data.corpora.meetings.alimeeting import read_textgrid
from espnet_prune.data.rttm import Turn
from espnet_prune.data.tables import DataError
from tests.data.corpora.meetings.trees import textgrid

TIERS = {
    "N_SPK8013": [(96.75, 110.28, "这个 孩子 呀"), (110.28, 119.5, ""), (119.5, 125.89, "嗯")],
    "N_SPK8014": [(100.0, 101.5, 'said ""yes""')],
}
TURNS = [
    Turn("m", 96.75, 110.28 - 96.75, "SPK8013"),
    Turn("m", 100.0, 1.5, "SPK8014"),
    Turn("m", 119.5, 125.89 - 119.5, "SPK8013"),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "m.TextGrid").write_text(textgrid(TIERS, 130.0), encoding=encoding)
    assert read_textgrid(tmp_path / "m.TextGrid", "m") == TURNS


def test_windows_line_ends(tmp_path: Path) -> None:
    text = textgrid(TIERS, 130.0).replace("\n", "\r\n")
    (tmp_path / "m.TextGrid").write_bytes(text.encode())
    assert read_textgrid(tmp_path / "m.TextGrid", "m") == TURNS


def test_a_tier_may_end_before_the_file_says(tmp_path: Path) -> None:
    text = textgrid(TIERS, 130.0).replace("        xmax = 130.0", "        xmax = 110.0")
    (tmp_path / "m.TextGrid").write_text(text)
    assert read_textgrid(tmp_path / "m.TextGrid", "m") == TURNS


def test_intervals_may_overlap_or_be_empty(tmp_path: Path) -> None:
    tiers = {"F_SPK1": [(0.0, 2.0, "a"), (1.5, 3.0, "b"), (3.0, 3.0, "c")]}
    (tmp_path / "m.TextGrid").write_text(textgrid(tiers, 4.0))
    turns = read_textgrid(tmp_path / "m.TextGrid", "m")
    assert turns == [Turn("m", 0.0, 2.0, "SPK1"), Turn("m", 1.5, 1.5, "SPK1")]


def test_one_speaker_in_two_tiers(tmp_path: Path) -> None:
    text = textgrid({"N_SPK1": [(0.0, 1.0, "a")], "M_SPK1": [(2.0, 3.0, "b")]}, 4.0)
    (tmp_path / "m.TextGrid").write_text(text)
    assert {turn.speaker for turn in read_textgrid(tmp_path / "m.TextGrid", "m")} == {"SPK1"}


LONG = textgrid(TIERS, 130.0)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "expected a TextGrid, found a file that can not be parsed"),
        ("SPEAKER m 1 0 1 <NA> <NA> A <NA> <NA>\n", "expected a TextGrid"),
        (LONG[: LONG.index("text = ", 400)], "expected a TextGrid"),
        (
            LONG[: LONG.index("        intervals [3]")],
            "expected 5 tiers and .* found 3; it is truncated",
        ),
        (LONG[: LONG.index("    item [2]")], "expected 5 tiers and .* found 4; it is truncated"),
        (textgrid({"N_SPK1": [(0.0, 1.0, " ")]}, 1.0), "expected intervals with text, found none"),
        (textgrid({"N_SPK1": [(2.0, 1.0, "a")]}, 2.0), "interval 2.0 to 1.0: expected a duration"),
        (textgrid({"N_ SPK1": [(0.0, 1.0, "a")]}, 2.0), "expected a label without blanks"),
    ],
)
def test_broken_files(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "m.TextGrid").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_textgrid(tmp_path / "m.TextGrid", "m")
    assert str(tmp_path / "m.TextGrid") in str(caught.value)


def test_not_text(tmp_path: Path) -> None:
    (tmp_path / "m.TextGrid").write_bytes(b"\x80\x81\x82")
    with pytest.raises(DataError, match="expected a TextGrid"):
        read_textgrid(tmp_path / "m.TextGrid", "m")
