"""Cut the scored regions of a data directory into fixed-size windows."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount
from espnet_prune.data.meetings import read_data_dir, scored_regions
from espnet_prune.data.tables import DataError
from espnet_prune.diarization.windows import cut_windows, write_windows


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path, help="directory with wav.scp, rttm, optionally uem")
    parser.add_argument(
        "--window_size", type=amount, default=8.0, help="window length in seconds (default: 8)"
    )
    parser.add_argument(
        "--window_shift",
        type=amount,
        default=6.0,
        help="seconds from the start of a window to that of the next (default: 6)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="file to write, beside a wav.scp and rttm (default: DATA_DIR/windows)",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    output = args.output or args.data_dir / "windows"
    with explained("make_windows"):
        regions = scored_regions(read_data_dir(args.data_dir))
        windows = cut_windows(regions, args.window_size, args.window_shift)
        if not windows:
            raise DataError(f"expected scored audio in {args.data_dir}, found none; check its uem")
        write_windows(output, windows)
        print(f"{output}: {len(windows)} windows of {len(regions)} recordings")


if __name__ == "__main__":
    main()
