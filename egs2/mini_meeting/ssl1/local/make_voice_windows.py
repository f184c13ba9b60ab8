"""Cut single-speaker recordings into short windows and number their voices."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.diarization import Region, cut_windows, write_windows
from espnet_prune.ssl.files import atomic_write


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path, help="directory with reco2dur, segments, utt2spk")
    parser.add_argument("--size", type=float, default=2.0, help="seconds of a window (default: 2)")
    parser.add_argument(
        "--shift", type=float, default=1.0, help="seconds between two starts (default: 1)"
    )
    return parser


def read_columns(path: Path) -> list[list[str]]:
    """The fields of every line."""
    return [line.split() for line in path.read_text().splitlines()]


def main(cmd: Sequence[str] | None = None) -> None:
    """Write ``windows`` and ``window2voice`` (index of the voice in the order of names)."""
    args = get_parser().parse_args(cmd)
    voice_of = dict(read_columns(args.data_dir / "utt2spk"))
    voices = {name: index for index, name in enumerate(sorted(set(voice_of.values())))}
    speaker = {row[1]: voice_of[row[0]] for row in read_columns(args.data_dir / "segments")}
    # reco2dur is rounded to a millisecond, perhaps up.
    regions = {
        recording: [Region(recording, 0.0, float(duration) - 0.001)]
        for recording, duration in read_columns(args.data_dir / "reco2dur")
    }
    windows = cut_windows(regions, args.size, args.shift)
    lines = [f"{w.id} {voices[speaker[w.recording]]}" for w in sorted(windows, key=lambda w: w.id)]
    atomic_write(args.data_dir / "window2voice", "\n".join(lines) + "\n")
    write_windows(args.data_dir / "windows", windows)
    print(f"{args.data_dir}: {len(windows)} windows of {len(voices)} voices")


if __name__ == "__main__":
    main()
