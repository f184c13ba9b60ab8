"""Diarize a data directory or audio files of any format, rate and channel count; writes RTTM.

Of a data directory all turns go to one RTTM file. What is done of a call that ended early, say at a
damaged recording, is kept beside that file, in a hidden folder, and the next call of the same
model, configuration and audio goes on from there.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from espnet_prune.bin.diarizer_options import (
    add_diarizer_options,
    add_job_option,
    diarize_missing,
    find_diarizer,
    load_diarizer,
)
from espnet_prune.bin.errors import explained
from espnet_prune.data import DataError, read_rttm, write_rttm
from espnet_prune.data.audio import FOREIGN, SUFFIXES
from espnet_prune.diarization.pipeline import recording_name, without_blanks
from espnet_prune.diarization.windows import read_wavs
from espnet_prune.storage.files import require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_diarizer_options(parser)
    add_job_option(parser)
    parser.add_argument(
        "audio",
        type=Path,
        nargs="+",
        help="a data directory with wav.scp, or audio files, or folders to search for them",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="RTTM file of a data directory; else folder for RTTM files named after the audio",
    )
    parser.add_argument(
        "--redo", action="store_true", help="also the files whose RTTM file is there already"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    with explained("diarize"):
        if len(args.audio) == 1 and (args.audio[0] / "wav.scp").is_file():
            return _diarize_data_dir(args)
        files = find_audio(args.audio)
        outputs = {name: args.output / f"{name}.rttm" for name in files}
        diarize_missing("diarize", partial(load_diarizer, args), files, outputs, args.nj, args.redo)


def _diarize_data_dir(args: argparse.Namespace) -> None:
    require_writable(args.output)
    wavs = read_wavs(args.audio[0] / "wav.scp")
    model, config = find_diarizer(args)
    settings = [repr(config), *_state(model), *_state(*_paths(asdict(config)))]
    parts = args.output.with_name(f".{args.output.name}.parts")
    outputs = {
        name: parts / f"{_digest([name, *settings, path, *_state(path)])}.rttm"
        for name, path in wavs.items()
    }
    load = partial(load_diarizer, args)
    diarize_missing("diarize", load, wavs, outputs, args.nj, args.redo)
    write_rttm(args.output, {name: read_rttm(outputs[name]).get(name, []) for name in wavs})
    _remove(parts)


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()


def _state(*paths: str | Path) -> Iterator[str]:
    """Size and time of change of every file that ``paths`` name or contain."""
    for path in map(Path, paths):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                status = file.stat()
                yield f"{file} {status.st_size} {status.st_mtime_ns}"


def _paths(values: object) -> Iterator[str]:
    """The texts among the values of a configuration that name something on the disk."""
    if isinstance(values, dict):
        for value in values.values():
            yield from _paths(value)
    elif isinstance(values, str) and Path(values).exists():
        yield values


def _remove(parts: Path) -> None:
    """Remove the files of this and of earlier calls, and their folder if nothing else is in it."""
    for part in parts.glob("*.rttm"):
        part.unlink()
    with contextlib.suppress(OSError):
        parts.rmdir()


def find_audio(paths: Iterable[Path]) -> dict[str, Path]:
    """The files that ``paths`` name or contain, by the name of their recording.

    Files of one name go by their path below the folder that all have in common, without its
    suffix where that tells them apart.

    Raises:
        DataError: a path is missing, none has audio, or two files have one name after all.
    """
    found: dict[Path, Path] = {}
    problems = []
    for path in paths:
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
                f"results would both be {name}.rttm; diarize them into different folders"
            )
    if problems:
        raise DataError(*problems)
    return files


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
    files = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES | FOREIGN
        and path.is_file()
        and not path.name.startswith(".")
    ]
    readable = {path.with_suffix("") for path in files if path.suffix.lower() in SUFFIXES}
    return sorted(
        path
        for path in files
        if path.suffix.lower() in SUFFIXES or path.with_suffix("") not in readable
    )


if __name__ == "__main__":
    main()
