"""Cut the scored regions of a data directory into fixed-size windows."""

from argparse import ArgumentParser
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount
from espnet_prune.data import DataError, read_data_dir, scored_regions


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("data_dir", type=Path, help="directory with wav.scp, rttm, optionally uem")
    add("--window_size", type=amount, default=8.0, help="length in seconds (default: 8)")
    add("--window_shift", type=amount, default=6.0, help="from start to start (default: 6)")
    add("--output", type=Path, help="file, beside a wav.scp and rttm (default: DATA_DIR/windows)")
    return parser


@explained("make_windows", logs=True)
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_prune.diarization.windows import cut_windows, write_windows  # brings torch

    output = args.output or args.data_dir / "windows"
    regions = scored_regions(read_data_dir(args.data_dir))
    windows = cut_windows(regions, args.window_size, args.window_shift)
    if not windows:
        raise DataError(f"expected scored audio in {args.data_dir}, found none; check its uem")
    write_windows(output, windows)
    print(f"{output}: {len(windows)} windows of {len(regions)} recordings")


if __name__ == "__main__":
    main()
