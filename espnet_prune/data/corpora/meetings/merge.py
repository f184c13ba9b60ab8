"""One data directory out of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_prune.data.corpora.meetings.corpus import shown
from espnet_prune.data.meetings import DataDir, read_data_dir, scored_regions, write_data_dir
from espnet_prune.data.rttm import Turn
from espnet_prune.data.tables import DataError
from espnet_prune.data.uem import Region


def merge_data_dirs(folders: Sequence[str | Path], output: str | Path) -> int:
    """Write the recordings of all folders to one data directory; audio is not copied.

    Returns:
        The number of recordings.

    Raises:
        DataError: for recordings of the same name, and problems within a folder.
    """
    wavs: dict[str, str] = {}
    turns: dict[str, Sequence[Turn]] = {}
    uem: dict[str, Sequence[Region]] = {}
    problems = []
    for folder in folders:
        part = read_data_dir(folder)
        clashes = sorted(wavs.keys() & part.wavs.keys())
        if clashes:
            problems.append(
                f"{folder}: expected other recordings than in the folders before it, found "
                f"{len(clashes)} of the same name: {shown(clashes)}; rename or remove them"
            )
        wavs.update(part.wavs)
        turns.update(part.turns)
        uem.update(scored_regions(part))
    if problems:
        raise DataError(*problems)
    write_data_dir(DataDir(Path(output), wavs, turns, uem), output)
    return len(wavs)
