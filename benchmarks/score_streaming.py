"""Diarize a data directory as a whole and as streams of several delays, and score both.

A stream of 0.25 s chunks is diarized by the model and configuration of the whole recordings.
Example: python -m benchmarks.score_streaming exp/pruned data/test --delays 0.5 1 2
"""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from espnet_prune.bin.diarizer_options import add_diarizer_options, find_diarizer
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount
from espnet_prune.bin.score_der import add_der_options
from espnet_prune.data import Turn, read_data_dir
from espnet_prune.data.audio import SAMPLE_RATE, AudioStream
from espnet_prune.data.meetings import DataDir
from espnet_prune.diarization.pipeline import Diarizer
from espnet_prune.progress import progress
from espnet_prune.report.rates import RATES
from espnet_prune.report.table import Measure, Table, without_nan
from espnet_prune.scoring.der import score

Diarize = Callable[[str, str], list[Turn]]
"""Of an audio file and the name of its recording, its turns."""

_CHUNK = SAMPLE_RATE // 4


def get_parser() -> ArgumentParser:
    """Make the parser of the command line."""
    parser = ArgumentParser(description=__doc__)
    add_diarizer_options(parser)
    parser.add_argument("data_dir", type=Path, help="wav.scp, rttm, optionally uem")
    parser.add_argument("--delays", type=amount, nargs="+", default=[0.5, 1.0, 2.0], metavar="S")
    parser.add_argument("--step", type=amount, help="of the streams (a quarter of each delay)")
    parser.add_argument("--threshold", type=amount, help="of the streams (the configuration's)")
    add_der_options(parser)
    parser.add_argument("--json", action="store_true", help="print fractions as JSON")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("score_streaming"):
        data = read_data_dir(args.data_dir)
        diarizer = Diarizer.from_pretrained(*find_diarizer(args), args.device)
        ways: dict[str, Diarize] = {"offline": diarizer.diarize}
        for delay in args.delays:
            options = {"delay": delay, "step": args.step, "threshold": args.threshold}
            ways[f"delay {delay:g} s"] = partial(_streamed, diarizer, options)
        rows = {name: _scores(name, way, data, args) for name, way in ways.items()}
        print(json.dumps(rows, indent=2) if args.json else _table(rows))


def _streamed(diarizer: Diarizer, options: dict[str, Any], path: str, name: str) -> list[Turn]:
    stream = diarizer.stream(recording=name, **options)
    return [*stream.follow(_chunks(path))]


def _chunks(path: str) -> Iterator[NDArray[np.float32]]:
    with AudioStream(path) as audio:
        for start in range(0, audio.num_samples, _CHUNK):
            yield audio.read(start, start + _CHUNK)


def _scores(name: str, way: Diarize, data: DataDir, args: Namespace) -> dict[str, Any]:
    """Rates, how far the number of speakers is off, and CPU seconds per second of audio."""
    begun = time.process_time()
    found = {each: way(path, each) for each, path in progress(data.wavs.items(), name)}
    spent = time.process_time() - begun
    total = score(data.turns, found, data.uem, args.collar, args.skip_overlap).total
    off = [abs(_speakers(found[each]) - _speakers(data.turns.get(each, []))) for each in data.wavs]
    seconds = sum(soundfile.info(path).duration for path in data.wavs.values())
    return without_nan(vars(total)) | {"speakers_off": fmean(off), "cpu": spent / seconds}


def _speakers(turns: Sequence[Turn]) -> int:
    return len({turn.speaker for turn in turns})


def _table(rows: dict[str, dict[str, Any]]) -> str:
    measures = [
        *RATES,
        Measure("speakers_off", "speakers off by", scale=1),
        Measure("cpu", "CPU s per s", "{:.3f}", scale=1),
    ]
    return Table.of("turns", measures, rows.items()).markdown()


if __name__ == "__main__":
    main()
