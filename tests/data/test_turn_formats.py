"""Every format of turns is read back by a reader of its own."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from praatio import textgrid

from espnet_prune.data.rttm import Turn, read_rttm
from espnet_prune.data.turn_formats import TURN_FORMATS, format_of

TURNS = [
    Turn("m", 3600.25, 62.5, 'A"<b>'),
    Turn("m", 0.0125, 1.5, "spk0"),
    Turn("m", 1.0, 0.0004, "MÉO"),
    Turn("m", 1.2, 0.5125, "spk0"),  # which overlaps a turn of the same speaker
]
ROWS = sorted((turn.start, round(turn.end, 4), turn.speaker) for turn in TURNS)
CLOCK = r"(\d\d):(\d\d):(\d\d)[.,](\d{3})"


def seconds(clock):
    hours, minutes, whole, milli = map(int, clock)
    return (hours * 60 + minutes) * 60 + whole + milli / 1000


def cues(text, pattern):
    for *clocks, name in re.findall(rf"^{CLOCK} --> {CLOCK}\n{pattern}$", text, re.MULTILINE):
        yield seconds(clocks[:4]), seconds(clocks[4:]), name


def rttm(text, tmp_path):
    (tmp_path / "rttm").write_text(text, encoding="utf-8")
    found = read_rttm(tmp_path / "rttm").get("m", [])
    return [(turn.start, round(turn.end, 4), turn.speaker) for turn in found]


def as_json(text, _):
    found = json.loads(text)
    assert found["recording"] == "m"
    return [(turn["start"], turn["end"], turn["speaker"]) for turn in found["turns"]]


def table(text, _):
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["recording"] for row in rows} <= {"m"}
    return [(float(row["start"]), float(row["end"]), row["speaker"]) for row in rows]


def labels(text, _):
    fields = [line.split("\t") for line in text.splitlines()]
    return [(float(start), float(end), name) for start, end, name in fields]


READERS = {"rttm": rttm, "json": as_json, "csv": table, "audacity": labels}


@pytest.mark.parametrize("name", READERS)
def test_all_is_read_back_in_order(name, tmp_path):
    render = TURN_FORMATS[name].render
    assert READERS[name](render("m", TURNS), tmp_path) == ROWS
    assert READERS[name](render("m", []), tmp_path) == []


@pytest.mark.parametrize(("name", "pattern"), [("srt", "(.+)"), ("vtt", "<v .+>(.+)</v>")])
def test_subtitles(name, pattern):
    text = TURN_FORMATS[name].render("m", TURNS)
    found = list(cues(text, pattern))
    for (start, end, _), (first, last, _) in zip(ROWS, found, strict=True):
        assert abs(start - first) < 0.00051 and abs(end - last) < 0.00051
    assert found[-1][0] == 3600.25
    if name == "srt":
        numbers = re.findall(r"(?:^|\n\n)(\d+)\n", text)
        assert numbers == ["1", "2", "3", "4"] and found[-1][2] == 'A"<b>'
    else:
        assert text.startswith("WEBVTT\n\n") and found[-1][2] == "A&quot;&lt;b&gt;"
    assert not list(cues(TURN_FORMATS[name].render("m", []), pattern))


def test_textgrid(tmp_path):
    path = tmp_path / "m.TextGrid"
    path.write_text(TURN_FORMATS["textgrid"].render("m", TURNS), encoding="utf-8")
    grid = textgrid.openTextgrid(path, includeEmptyIntervals=False)
    assert grid.tierNames == ("spk0", "MÉO", 'A"<b>') and grid.maxTimestamp == 3662.75
    assert [tuple(entry) for entry in grid.getTier("spk0").entries] == [(0.0125, 1.7125, "spk0")]
    assert [tuple(entry) for entry in grid.getTier("MÉO").entries] == [(1.0, 1.0004, "MÉO")]
    path.write_text(TURN_FORMATS["textgrid"].render("m", []))
    (tier,) = textgrid.openTextgrid(path, includeEmptyIntervals=False).tiers
    assert not tier.entries


def test_suffixes_choose():
    assert len({kind.suffix for kind in TURN_FORMATS.values()}) == len(TURN_FORMATS)
    assert format_of("a/b.srt") == "srt" and format_of("x.textgrid") == "textgrid"
    assert format_of("folder") is None
