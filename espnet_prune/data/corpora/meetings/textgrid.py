"""Speaker turns of Praat TextGrid files: one interval tier per speaker, text where they speak."""

from __future__ import annotations

import re
from pathlib import Path

from praatio.utilities import errors, textgrid_io

from espnet_prune.data.rttm import Turn
from espnet_prune.data.tables import DataError

# The counts that the long text format gives of its tiers and of the intervals of each.
_COUNTS = re.compile(r"^\s*(?:intervals: ?)?size ?= ?(\d+)\s*$", re.MULTILINE)


def read_textgrid(path: str | Path, recording: str) -> list[Turn]:
    """Read the turns of a recording, ordered in time; intervals without text are silence.

    The speaker is the part of the tier's name after its last underscore: ``SPK8013`` of
    ``N_SPK8013``. Tiers may be longer or shorter than the file's own header says, and intervals of
    one speaker may overlap: both occur in published corpora.

    Args:
        path: text file in Praat's long or short format, UTF-8 or UTF-16.
        recording: recording id of the turns.

    Raises:
        DataError: for a malformed or truncated file, an interval that ends before it starts, and
            a file without turns.
    """
    tiers = _tiers(Path(path))
    turns = []
    for tier in tiers:
        speaker = tier["name"].strip().rsplit("_", 1)[-1]
        for start, end, text in tier["entries"]:
            if not text.strip() or float(start) == float(end):
                continue
            try:
                turns.append(Turn(recording, float(start), float(end) - float(start), speaker))
            except ValueError as error:
                raise DataError(f"{path}: interval {start} to {end}: {error}") from error
    if not turns:
        raise DataError(
            f"{path}: expected intervals with text, found none; unpack or download the file again"
        )
    return sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker))


def _tiers(path: Path) -> list[dict]:
    """Parse the interval tiers with all their intervals as (start, end, text)."""
    content = path.read_bytes()
    try:
        encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        text = content.decode(encoding)
        # The parser alone: the library's classes refuse intervals of one tier that overlap.
        tiers = textgrid_io.parseTextgridStr(text, includeEmptyIntervals=True)["tiers"]
    except (ValueError, LookupError, errors.PraatioException) as error:
        raise DataError(
            f"{path}: expected a TextGrid, found a file that can not be parsed ({error}); "
            "unpack or download it again"
        ) from error
    counts = [int(count) for count in _COUNTS.findall(text)]
    found = len(tiers) + sum(len(tier["entries"]) for tier in tiers)
    if counts and sum(counts) != found:
        raise DataError(
            f"{path}: expected {sum(counts)} tiers and intervals as the file says, "
            f"found {found}; it is truncated, unpack or download it again"
        )
    return [tier for tier in tiers if tier["class"] == "IntervalTier"]
