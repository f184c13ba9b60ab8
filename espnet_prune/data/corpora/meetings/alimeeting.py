"""AliMeeting (Yu et al., 2022, arXiv 2110.07393): the first microphone of the far-field array."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from praatio.utilities import errors, textgrid_io

from espnet_prune.data.corpora.meetings.corpus import Corpus, Found, Size, Source, find_archives
from espnet_prune.data.corpora.meetings.recordings import first_channel
from espnet_prune.data.rttm import Turn
from espnet_prune.data.tables import DataError

# Eval and Test come in an archive with the near-field recordings.
PLACES = {
    "train": ["Train_Ali_far"],
    "dev": ["Eval_Ali/Eval_Ali_far", "Eval_Ali_far"],
    "test": ["Test_Ali/Test_Ali_far", "Test_Ali_far"],
}
# The counts that the long text format gives of its tiers and of the intervals of each.
_COUNTS = re.compile(r"^\s*(?:intervals: ?)?size ?= ?(\d+)\s*$", re.MULTILINE)


def find(folders: Sequence[Path]) -> Found:
    """Find ``audio_dir/<meeting>_MS<microphone>.wav`` and ``textgrid_dir/<meeting>.TextGrid``.

    The recording id is that of the audio file, such as R8001_M8004_MS801.
    """
    parts, missing = find_archives(folders, PLACES)
    splits: dict[str, list[Source]] = {split: [] for split in PLACES}
    for split, folder in parts.items():
        for audio in sorted((folder / "audio_dir").glob("*.wav")):
            meeting = audio.stem.rpartition("_MS")[0] or audio.stem
            textgrid = folder / "textgrid_dir" / f"{meeting}.TextGrid"
            splits[split].append(Source(audio.stem, audio, textgrid))
    return Found(splits, missing)


def read_textgrid(path: Path, recording: str) -> list[Turn]:
    """Read the turns of a recording, ordered in time, from a Praat TextGrid, UTF-8 or UTF-16.

    Every interval tier is a speaker's; its intervals without text are silence. The speaker is the
    part of the tier's name after its last underscore: ``SPK8013`` of ``N_SPK8013``. Tiers may be
    longer or shorter than the file's own header says, and intervals of one speaker may overlap:
    both occur in published corpora.

    Raises:
        DataError: for a malformed or truncated file, an interval that ends before it starts, and
            a file without turns.
    """
    tiers = _tiers(path)
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


ALIMEETING = Corpus(
    title="AliMeeting",
    home="https://www.openslr.org/119 (CC BY-SA 4.0)",
    folders="one with Train_Ali_far, Eval_Ali and Test_Ali, unpacked",
    # Of DiariZen's lists and UEM files. The corpus paper counts 212 training sessions and hours of
    # annotation; the archive has 209 recordings.
    splits={"train": Size(209, 111.36), "dev": Size(8, 4.21), "test": Size(20, 10.78)},
    channels=8,
    to_mono=first_channel,
    find=find,
    read_turns=read_textgrid,
)
