"""Diarize audio files of any format, rate and channel count; writes an RTTM file for each."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from espnet_prune.bin.diarizer_options import add_diarizer_options, load_diarizer
from espnet_prune.bin.errors import explained, refused
from espnet_prune.diarization import DataError, write_rttm
from espnet_prune.diarization.pipeline import Diarizer, recording_name
from espnet_prune.progress import progress
from espnet_prune.ssl.files import require_writable

# What a folder is searched for; files that are named are read whatever their suffix.
SUFFIXES = frozenset({
    ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".au", ".snd",
    ".caf", ".w64", ".rf64", ".sph", ".nist",
})  # fmt: skip
# Media that libsndfile does not read: found in a folder they are failures, not passed over.
UNREADABLE = frozenset({
    ".m4a", ".mp4", ".webm", ".aac", ".wma", ".mkv", ".amr", ".mov", ".avi", ".m4b", ".3gp",
})  # fmt: skip

logger = logging.getLogger(__name__)


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_diarizer_options(parser)
    parser.add_argument(
        "audio", type=Path, nargs="+", help="audio files, or folders to search for them"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for RTTM files named after the audio"
    )
    parser.add_argument(
        "--redo", action="store_true", help="also the files whose RTTM file is there already"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    logger.setLevel(logging.INFO)
    with explained("diarize"):
        files = find_audio(args.audio)
        outputs = {name: args.output / f"{name}.rttm" for name in files}
        missing = {name for name in files if args.redo or not outputs[name].is_file()}
        if done := len(files) - len(missing):
            logger.info("skipping %d file(s) with a result in %s", done, args.output)
        todo = {name: path for name, path in files.items() if name in missing}
        for name in todo:
            require_writable(outputs[name])
        failures = diarize_files(load_diarizer(args), todo, outputs) if todo else {}
    if failures:
        report_failures("diarize", failures, len(todo))


def find_audio(paths: Iterable[Path]) -> dict[str, Path]:
    """The files that ``paths`` name or contain, by the name of their recording.

    Raises:
        DataError: a path is missing, none has audio, or two files have one name.
    """
    files: dict[str, Path] = {}
    problems = []
    for path in paths:
        if not path.exists():
            problems.append(f"expected audio, found none at {path}; correct the path")
        found = _search(path) if path.is_dir() else [path]
        if not found:
            problems.append(f"expected audio in {path}, found no {', '.join(sorted(SUFFIXES))}")
        for file in found:
            name = recording_name(file)
            if name in files and files[name].resolve() != file.resolve():
                problems.append(
                    f"expected files of different names, found {files[name]} and {file}, whose "
                    f"results would both be {name}.rttm; diarize them into different folders"
                )
            files.setdefault(name, file)
    if problems:
        raise DataError(*problems)
    return files


def diarize_files(
    diarizer: Diarizer, files: Mapping[str, Path], outputs: Mapping[str, Path]
) -> dict[Path, Exception]:
    """Diarize recording by recording, and return those that failed with their errors."""
    failures: dict[Path, Exception] = {}
    for name, path in progress(files.items(), "files", len(files)):
        try:
            if path.suffix.lower() in UNREADABLE:
                raise DataError(
                    f"expected audio that libsndfile reads, found {path.suffix}; convert it, as "
                    "with ffmpeg -i IN OUT.flac"
                )
            turns = diarizer.diarize(path, name, show_progress=True)
            write_rttm(outputs[name], {name: turns})
        except Exception as error:  # whatever it is, the other files do not wait for it
            foreseen = isinstance(error, (ValueError, OSError))
            logger.error("%s failed", path, exc_info=not foreseen)
            failures[path] = error
    return failures


def report_failures(verb: str, failures: Mapping[Path, Exception], number: int) -> NoReturn:
    """List what failed of a number of files, and end with status 2."""
    lines = [f"{path}: {error}" for path, error in failures.items()]
    raise refused("\n".join([f"{verb}: {len(lines)} of {number} file(s) failed:", *lines]))


def _search(folder: Path) -> list[Path]:
    """Audio files in ``folder`` and its subfolders; names with a dot in front are hidden."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES | UNREADABLE
        and path.is_file()
        and not path.name.startswith(".")
    )


if __name__ == "__main__":
    main()
