"""Diarize every recording of a data directory with a trained model; writes an RTTM file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.diarizer_options import add_diarizer_options, load_diarizer
from espnet_prune.bin.errors import explained
from espnet_prune.diarization import read_data_dir, write_rttm
from espnet_prune.progress import progress


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
        diarizer = load_diarizer(args)
        wavs = read_data_dir(args.data_dir).wavs
        turns = {
            recording: diarizer.diarize(path, recording, show_progress=True)
            for recording, path in progress(wavs.items(), "diarize", len(wavs))
        }
        write_rttm(args.output, turns)


if __name__ == "__main__":
    main()
