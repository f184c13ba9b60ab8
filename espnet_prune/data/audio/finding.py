"""The recordings that paths name: of files, of folders of them, of standard input."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from espnet_prune.data.audio.disk import on_disk
from espnet_prune.data.audio.files import SUFFIXES
from espnet_prune.data.audio.foreign import FOREIGN
from espnet_prune.data.audio.names import recording_name, without_blanks
from espnet_prune.data.audio.sources import AudioSource, ChannelSource, FileSource, OpenFileSource
from espnet_prune.data.tables import DataError

STANDARD_INPUT = "-"
"""The path that means it; its recording is called ``stdin``."""


def find_audio(paths: Iterable[Path]) -> dict[str, AudioSource]:
    """The recordings that ``paths`` name or contain, by their names.

    Files of one name go by their path below the folder that all have in common, without its
    suffix where that tells them apart.

    Raises:
        DataError: a path is missing, none has audio, or two files have one name after all.
    """
    paths = list(paths)
    streams = [path for path in paths if str(path) == STANDARD_INPUT]
    found: dict[Path, Path] = {}
    problems = []
    for path in (path for path in paths if path not in streams):
        if not path.exists():
            problems.append(f"expected audio, found none at {path}; correct the path")
        inside = _search(path) if path.is_dir() else [path]
        if not inside:
            problems.append(f"expected audio in {path}, found no {', '.join(sorted(SUFFIXES))}")
        for file in inside:
            found.setdefault(file.resolve(), file)
    files: dict[str, Path] = {}
    for file, name in _names(found).items():
        other = files.setdefault(name, found[file])
        if other is not found[file]:
            problems.append(
                f"expected files of different names, found {other} and {found[file]}, whose "
                f"results would both be called {name}; diarize them into different folders"
            )
    if problems:
        raise DataError(*problems)
    sources: dict[str, AudioSource] = {name: FileSource(path) for name, path in files.items()}
    if streams:
        sources["stdin"] = OpenFileSource(on_disk(sys.stdin.buffer), "standard input")
    return sources


def each_channel(sources: Mapping[str, AudioSource]) -> dict[str, AudioSource]:
    """A recording ``<name>_ch0``, ``<name>_ch1``, ... of every channel.

    What cannot be opened stays as it is, so that the others do not wait for it.
    """
    split: dict[str, AudioSource] = {}
    for name, source in sources.items():
        split[name] = source
        with contextlib.suppress(DataError), contextlib.closing(source.open()) as audio:
            del split[name]
            for channel in range(audio.channels):
                split[f"{name}_ch{channel}"] = ChannelSource(source, channel)
    return split


def _names(files: Iterable[Path]) -> dict[Path, str]:
    """The name of each file's recording, as short as tells it apart."""
    names = {file: recording_name(file) for file in files}
    common = os.path.commonpath([file.parent for file in names]) if names else ""
    for suffixes in ("left out", "kept"):
        counts = Counter(names.values())
        for file in [file for file, name in names.items() if counts[name] > 1]:
            below = file.relative_to(common)
            names[file] = without_blanks(below if suffixes == "kept" else below.with_suffix(""))
    return names


def _search(folder: Path) -> list[Path]:
    """Audio files in ``folder`` and its subfolders; names with a dot in front are hidden.

    Those that libsndfile does not read are among them, so that their failure is told, unless they
    were converted already.
    """
    files = [path for path in folder.rglob("[!.]*") if path.is_file()]
    audio = [path for path in files if path.suffix.lower() in SUFFIXES]
    converted = {path.with_suffix("") for path in audio}
    foreign = [path for path in files if path.suffix.lower() in FOREIGN]
    return sorted(audio + [path for path in foreign if path.with_suffix("") not in converted])
