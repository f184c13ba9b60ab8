"""Diarize raw audio from standard input while it comes; turns go to standard output as RTTM.

Samples are 16 bit integers, little-endian, of one channel. A turn is written once it is final.
Example: ffmpeg -i talk.mp4 -f s16le -ac 1 -ar 16000 - | espnet-prune diarize_stream exp/pruned
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from espnet_prune.bin.diarizer_options import add_diarizer_options, load_diarizer
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, positive
from espnet_prune.data import DataError
from espnet_prune.data.rttm import rttm_lines

_BLOCK = 1 << 16  # bytes that are read at a time, at most
_HEADERS = (b"RIFF", b"fLaC", b"OggS", b"ID3")


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    add_diarizer_options(parser)
    add = parser.add_argument
    add("--rate", type=positive, default=16000, metavar="HZ", help="of the samples (16000)")
    add("--delay", type=amount, default=2.0, help="seconds until a decision, at most (2)")
    add("--step", type=amount, help="seconds between windows (a quarter of the delay)")
    add(
        "--threshold",
        type=amount,
        help="cosine distance of a new speaker (that of the configuration's clustering)",
    )
    add("--recording", default="stream", metavar="NAME", help="what the turns call it (stream)")
    return parser


@explained("diarize_stream")
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    if sys.stdin.isatty():
        raise DataError("expected samples on standard input, found a terminal; pipe them")
    stream = load_diarizer(args).stream(
        args.rate, args.delay, args.step, args.threshold, recording=args.recording
    )
    for turn in stream.follow(_chunks(sys.stdin.fileno())):
        print(*rttm_lines({turn.recording: [turn]}), flush=True)


def _chunks(file: int) -> Iterator[NDArray[np.int16]]:
    """The samples as they come, until the file ends or the first interruption, by Ctrl-C."""
    data, rest = os.read(file, _BLOCK), b""
    if data.startswith(_HEADERS):
        raise DataError(
            f"expected raw samples, found the header {data[:4]!r} of a file; decode it, for "
            "example by `ffmpeg -i FILE -f s16le -ac 1 -ar 16000 -`"
        )
    with _interruption() as interrupted:
        while data and not interrupted:
            data = rest + data
            whole = len(data) // 2
            yield np.frombuffer(data, dtype="<i2", count=whole)
            rest = data[2 * whole :]
            data = os.read(file, _BLOCK)


@contextlib.contextmanager
def _interruption() -> Iterator[list[int]]:
    """A list that the first interruption enters; another ends the command as usual."""
    came: list[int] = []

    def note(number: int, _: object) -> None:
        came.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    main()
