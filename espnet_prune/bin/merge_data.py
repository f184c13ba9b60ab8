"""Merge data directories, such as the training sets of several corpora, into one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.data.meetings import merge_data_dirs


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "data_dirs",
        metavar="DATA_DIR",
        nargs="+",
        type=Path,
        help="directory with wav.scp, rttm, optionally uem",
    )
    parser.add_argument(
        "output_dir",
        metavar="OUTPUT_DIR",
        type=Path,
        help="directory for wav.scp, rttm and uem of all of them; audio is not copied",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("merge_data"):
        number = merge_data_dirs(args.data_dirs, args.output_dir)
        print(f"{args.output_dir}: {number} recordings")


if __name__ == "__main__":
    main()
