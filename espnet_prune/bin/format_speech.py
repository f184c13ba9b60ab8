"""Check the audio of utterances and write a data directory of those of suitable length."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, positive
from espnet_prune.data.formatting import LengthLimits, format_speech


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=Path,
        help="data directory, or a text file with the path of an audio file in each line",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="where wav.scp, utt2num_samples, utt2spk, spk2utt and text go; audio is not copied",
    )
    parser.add_argument(
        "--min_seconds", type=amount, default=0.0, help="leave out shorter ones (default: none)"
    )
    parser.add_argument(
        "--max_seconds", type=float, default=math.inf, help="leave out longer ones (default: none)"
    )
    parser.add_argument(
        "--nj", type=positive, default=1, help="headers to read at a time (default: 1)"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("format_speech"):
        limits = LengthLimits(args.min_seconds, args.max_seconds)
        formatted = format_speech(args.source, args.output, limits, args.nj)
        print(f"{args.output}: {formatted}")


if __name__ == "__main__":
    main()
