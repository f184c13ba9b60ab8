#!/usr/bin/env python3
"""Write the tables of durations that s3prl's ASR task makes its batches by.

s3prl's own script asks for the sets at a prompt and calls functions that torchaudio 2.9 has not.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import soundfile

from espnet_prune.bin.errors import explained
from espnet_prune.data.tables import DataError
from espnet_prune.progress import progress
from espnet_prune.storage.files import atomic_write


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("librispeech", type=Path, help="folder with the sets")
    parser.add_argument("output", type=Path, help="folder for <set>.csv")
    parser.add_argument(
        "--sets",
        nargs="+",
        default=["train-clean-100", "dev-clean", "test-clean"],
        help="folders of LibriSpeech (default: the three of SUPERB)",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("asr_lengths"):
        for name in args.sets:
            atomic_write(args.output / f"{name}.csv", table(args.librispeech, name))


def table(librispeech: Path, name: str) -> str:
    """The table of a set: path below ``librispeech`` and samples, longest first.

    Raises:
        DataError: the set has no FLAC file.
    """
    paths = sorted((librispeech / name).rglob("*.flac"))
    if not paths:
        raise DataError(
            f"expected FLAC files in {librispeech / name}, found none; download {name}.tar.gz from "
            "https://www.openslr.org/12"
        )
    samples = {path: _num_samples(path) for path in progress(paths, name)}
    longest = sorted(paths, key=lambda path: -samples[path])
    rows = [f"{path.relative_to(librispeech)},{samples[path]}" for path in longest]
    return "\n".join(["file_path,length", *rows, ""])


def _num_samples(path: Path) -> int:
    try:
        return soundfile.info(path).frames
    except soundfile.SoundFileError as error:
        raise DataError(
            f"{path}: expected a FLAC file, found a damaged one ({error}); unpack it again"
        ) from error


if __name__ == "__main__":
    main()
