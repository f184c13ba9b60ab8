"""A plain list of audio files, for training that needs no more than audio."""

from __future__ import annotations

import os
from pathlib import Path

from espnet_prune.data.tables import DataError, read_bytes
from espnet_prune.data.utterances import UtteranceDir


def read_audio_list(path: str | Path) -> UtteranceDir:
    """Read a text file that names an audio file in each line.

    Blank lines and lines that start with ``#`` are skipped. Relative paths start at the working
    directory. An utterance is named by its path below the folder that all files share, with
    dashes for slashes and underscores for blanks, and is its own speaker.

    Raises:
        DataError: for an empty list, files that do not exist, and names that are not unique.
    """
    path = Path(path)
    lines = [line.strip() for line in os.fsdecode(read_bytes(path)).splitlines()]
    wavs = [os.path.abspath(line) for line in lines if line and not line.startswith("#")]
    if not wavs:
        raise DataError(f"{path}: expected a path in each line, found none; add some")
    problems = [
        f"{path}: expected an audio file, found none at {wav}; correct the path"
        for wav in wavs
        if not os.path.isfile(wav)
    ]
    shared = os.path.commonpath([os.path.dirname(wav) for wav in wavs])
    named: dict[str, str] = {}
    for wav in wavs:
        name = "_".join(os.path.splitext(os.path.relpath(wav, shared))[0].split())
        other = named.setdefault(name.replace(os.sep, "-"), wav)
        if other is not wav:
            problems.append(
                f"{path}: expected files of different names, found {other} and {wav}; "
                "rename or remove one"
            )
    if problems:
        raise DataError(*problems)
    return UtteranceDir(named, {name: name for name in named})
