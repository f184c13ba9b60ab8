"""Check a data directory thoroughly, then write a formatted copy of its tables."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.data.meetings import check_data_dir, read_data_dir, write_data_dir


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path, help="directory with wav.scp, rttm, optionally uem")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="directory for the sorted copies of wav.scp and rttm, and a uem; audio is not copied",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    with explained("check_data"):
        statistics = check_data_dir(args.data_dir)
        write_data_dir(read_data_dir(args.data_dir), args.output)
        print(
            f"{args.data_dir}: {statistics.recordings} recordings, {statistics.hours:.2f} hours, "
            f"{statistics.speakers} speakers, {statistics.speech_ratio:.1%} speech, "
            f"{statistics.overlap_ratio:.1%} of it overlapping"
        )


if __name__ == "__main__":
    main()
