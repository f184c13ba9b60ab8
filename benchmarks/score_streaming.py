"""Diarize a data directory as a whole and as streams of several delays, and score both.

A stream of 0.25 s chunks is diarized by the model and configuration of the whole recordings.
Example: python -m benchmarks.score_streaming exp/pruned data/test --delays 0.5 1 2
"""

from __future__ import annotations

import copy
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espnet_prune.bin.diarizer_options import add_diarizer_options, load_diarizer
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount
from espnet_prune.bin.score_der import add_der_options
from espnet_prune.data import Turn, read_data_dir
from espnet_prune.data.audio import SAMPLE_RATE, AudioStream
from espnet_prune.data.meetings import DataDir
from espnet_prune.diarization.local import LocalDiarizer, LocalSpeakers
from espnet_prune.diarization.pipeline import Diarizer
from espnet_prune.progress import progress
from espnet_prune.report.rates import RATES
from espnet_prune.report.table import Measure, Table, without_nan
from espnet_prune.scoring.der import score

_CHUNK = SAMPLE_RATE // 4


def get_parser() -> ArgumentParser:
    """Make the parser of the command line."""
    parser = ArgumentParser(description=__doc__)
    add_diarizer_options(parser)
    parser.add_argument("data_dir", type=Path, help="wav.scp, rttm, optionally uem")
    parser.add_argument("--delays", type=amount, nargs="+", default=[0.5, 1.0, 2.0], metavar="S")
    parser.add_argument(
        "--step", type=amount, help="of the streams, the same for all (0.25)", default=0.25
    )
    parser.add_argument("--threshold", type=amount, help="of the streams (the configuration's)")
    add_der_options(parser)
    parser.add_argument("--json", action="store_true", help="print fractions as JSON")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("score_streaming"):
        data = read_data_dir(args.data_dir)
        diarizer = load_diarizer(args)
        ways: dict[str, dict[str, list[Turn]]] = {}
        for recording, path in progress(data.wavs.items(), "recordings"):
            for way, turns in _diarize(diarizer, path, recording, args):
                ways.setdefault(way, {})[recording] = turns
        rows = {way: _scores(found, data, args) for way, found in ways.items()}
        print(json.dumps(rows, indent=2) if args.json else _table(rows))


class _Once:
    """Runs each window of one recording once, though streams of several delays have it."""

    def __init__(self, local: LocalDiarizer):
        self.run, self.found = local.window, dict[tuple[int, int], LocalSpeakers]()

    def __call__(self, samples: NDArray[np.float32], first: int) -> LocalSpeakers:
        key = (first, len(samples))
        if key not in self.found:
            self.found[key] = self.run(samples, first)
        return self.found[key]


def _diarize(
    diarizer: Diarizer, path: str, name: str, args: Namespace
) -> Iterator[tuple[str, list[Turn]]]:
    yield "offline", diarizer.diarize(path, name)
    with AudioStream(path) as audio:
        samples = audio.read(0, audio.num_samples)
    chunks = [samples[first : first + _CHUNK] for first in range(0, len(samples), _CHUNK)]
    shared = copy.copy(diarizer)
    shared.local = copy.copy(diarizer.local)
    shared.local.window = _Once(diarizer.local)  # type: ignore[method-assign]
    for delay in args.delays:
        stream = shared.stream(
            delay=delay, step=args.step, threshold=args.threshold, recording=name
        )
        yield f"{delay:g} s", [*stream.follow(chunks)]


def _scores(found: dict[str, list[Turn]], data: DataDir, args: Namespace) -> dict[str, Any]:
    """The rates, and how far the number of speakers of a recording is off."""
    total = score(data.turns, found, data.uem, args.collar, args.skip_overlap).total
    off = [abs(_speakers(found[each]) - _speakers(data.turns.get(each, []))) for each in found]
    return without_nan(vars(total)) | {"speakers_off": fmean(off)}


def _speakers(turns: Sequence[Turn]) -> int:
    return len({turn.speaker for turn in turns})


def _table(rows: dict[str, dict[str, Any]]) -> str:
    measures = [*RATES, Measure("speakers_off", "speakers off by", scale=1)]
    return Table.of("delay", measures, rows.items()).markdown()


if __name__ == "__main__":
    main()
