"""Diarize every recording of a data directory with a trained model; writes an RTTM file.

What is done of a call that ended early, say at a damaged recording, is kept beside that file, in a
hidden folder, and the next call of the same model, configuration and audio goes on from there.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import logging
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
from espnet_prune.data import read_rttm, write_rttm
from espnet_prune.diarization.windows import read_wavs
from espnet_prune.storage.files import require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_diarizer_options(parser)
    add_job_option(parser)
    parser.add_argument("data_dir", type=Path, help="directory with wav.scp")
    parser.add_argument("--output", type=Path, required=True, help="RTTM file to write")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    with explained("diar_inference"):
        require_writable(args.output)
        wavs = read_wavs(args.data_dir / "wav.scp")
        model, config = find_diarizer(args)
        settings = [repr(config), *_state(model), *_state(*_paths(asdict(config)))]
        parts = args.output.with_name(f".{args.output.name}.parts")
        outputs = {
            name: parts / f"{_digest([name, *settings, path, *_state(path)])}.rttm"
            for name, path in wavs.items()
        }
        diarize_missing("diar_inference", partial(load_diarizer, args), wavs, outputs, args.nj)
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


if __name__ == "__main__":
    main()
