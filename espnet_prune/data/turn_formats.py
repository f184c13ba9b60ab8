"""What turns are written as: RTTM, JSON, subtitles, labels of editors, tables."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from praatio.utilities import textgrid_io

from espnet_prune.data.rttm import Turn, rttm_lines
from espnet_prune.data.tables import to_text

_DIGITS = 4  # of seconds, as in RTTM


class TurnFormat(NamedTuple):
    """A format of files with the turns of one recording.

    ``render`` makes the text of the recording's name and of its turns. ``suffix`` is that of the
    files, ``media_type`` what a server says of them.
    """

    suffix: str
    media_type: str
    render: Callable[[str, Sequence[Turn]], str]


def _rttm(recording: str, turns: Sequence[Turn]) -> str:
    return to_text(rttm_lines({recording: turns}))


def _json(recording: str, turns: Sequence[Turn]) -> str:
    listed = [dict(zip(("start", "end", "speaker"), row, strict=True)) for row in _rows(turns)]
    content = {"recording": recording, "turns": listed}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _csv(recording: str, turns: Sequence[Turn]) -> str:
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["recording", "start", "end", "speaker"])
    table.writerows([recording, *row] for row in _rows(turns))
    return file.getvalue()


def _srt(_: str, turns: Sequence[Turn]) -> str:
    cues = enumerate(_rows(turns), start=1)
    return "\n".join(
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{speaker}\n"
        for number, (start, end, speaker) in cues
    )


def _vtt(_: str, turns: Sequence[Turn]) -> str:
    cues = [
        f"\n{_clock(start, '.')} --> {_clock(end, '.')}\n<v {name}>{name}</v>\n"
        for start, end, name in ((*row[:2], html.escape(row[2])) for row in _rows(turns))
    ]
    return "".join(["WEBVTT\n", *cues])


def _audacity(_: str, turns: Sequence[Turn]) -> str:
    return to_text(f"{start:.6f}\t{end:.6f}\t{speaker}" for start, end, speaker in _rows(turns))


def _textgrid(_: str, turns: Sequence[Turn]) -> str:
    """A tier for each speaker, in the order of their first speech; Praat wants one at least."""
    spans: dict[str, list[tuple[float, float, str]]] = {}
    for start, end, name in _rows(turns):
        tier = spans.setdefault(name, [])
        # An interval tier has no overlap: what one speaker says at once is one interval.
        if tier and start < tier[-1][1]:
            start, end = tier[-1][0], max(end, tier.pop()[1])
        tier.append((start, end, name))
    ends = [end for tier in spans.values() for _, end, _ in tier]
    edges = {"xmin": 0.0, "xmax": max(ends, default=1.0)}
    tiers = [
        {"class": textgrid_io.INTERVAL_TIER, "name": name, "entries": tier, **edges}
        for name, tier in (spans or {"nobody": []}).items()
    ]
    grid = {**edges, "tiers": tiers}
    return textgrid_io.getTextgridAsStr(grid, "long_textgrid", includeBlankSpaces=True)


def _rows(turns: Sequence[Turn]) -> Iterator[tuple[float, float, str]]:
    """Start and end in seconds, and speaker, in the order of time."""
    for turn in sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker)):
        yield round(turn.start, _DIGITS), round(turn.end, _DIGITS), turn.speaker


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


TURN_FORMATS: dict[str, TurnFormat] = {
    "rttm": TurnFormat(".rttm", "text/plain", _rttm),
    "json": TurnFormat(".json", "application/json", _json),
    "srt": TurnFormat(".srt", "application/x-subrip", _srt),
    "vtt": TurnFormat(".vtt", "text/vtt", _vtt),
    "audacity": TurnFormat(".txt", "text/plain", _audacity),
    "textgrid": TurnFormat(".TextGrid", "text/plain", _textgrid),
    "csv": TurnFormat(".csv", "text/csv", _csv),
}
"""The formats by name; a new one is a function and an entry here."""


def format_of(path: str | Path) -> str | None:
    """The name of the format that the suffix of a file says; None of another suffix."""
    suffixes = {kind.suffix.lower(): name for name, kind in TURN_FORMATS.items()}
    return suffixes.get(Path(path).suffix.lower())
