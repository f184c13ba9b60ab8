"""Diarize every recording of a data directory with a trained model; writes an RTTM file."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.diarize import diarize_files, report_failures
from espnet_prune.bin.diarizer_options import add_diarizer_options, load_diarizer
from espnet_prune.bin.errors import explained
from espnet_prune.diarization import read_data_dir, read_rttm, write_rttm
from espnet_prune.diarization.pipeline import find_pipeline
from espnet_prune.ssl.files import require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_diarizer_options(parser)
    parser.add_argument("data_dir", type=Path, help="directory with wav.scp")
    parser.add_argument("--output", type=Path, required=True, help="RTTM file to write")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("diar_inference"):
        require_writable(args.output)
        wavs = {name: Path(path) for name, path in read_data_dir(args.data_dir).wavs.items()}
        diarizer = load_diarizer(args)
        made_with = [_state(find_pipeline(args.model)), repr(diarizer.config)]
        parts = args.output.with_name(f"{args.output.name}.parts")
        outputs = {name: parts / _part(name, path, made_with) for name, path in wavs.items()}
        todo = {name: path for name, path in wavs.items() if not outputs[name].is_file()}
        failures = diarize_files(diarizer, todo, outputs)
        if not failures:
            turns = {name: read_rttm(outputs[name]).get(name, []) for name in wavs}
            write_rttm(args.output, turns)
            for part in outputs.values():
                part.unlink()
            with contextlib.suppress(OSError):  # results of other models or audio stay
                parts.rmdir()
    if failures:
        report_failures("diar_inference", failures, len(todo))


def _part(recording: str, path: Path, made_with: Sequence[str]) -> str:
    """The name of a recording's own result, which tells all that it depends on."""
    text = "\n".join([*made_with, recording, _state(path)])
    return f"{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()}.rttm"


def _state(path: Path) -> str:
    """The files at ``path``, their sizes and times of change."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    states = [(str(file), file.stat()) for file in files if file.is_file()]
    return repr([path, *((name, state.st_size, state.st_mtime_ns) for name, state in states)])


if __name__ == "__main__":
    main()
