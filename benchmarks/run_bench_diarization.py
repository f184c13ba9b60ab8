"""Measure each stage of diarization over length, speakers, batch size and threads: a table, a plot
and bench_diarization.json.

Every length is measured with the first number of speakers, batch size and number of threads; the
others of these with the first length.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks.diarization import SYNTHETIC, Case, StageRow, cases_of, measure, render
from benchmarks.options import prepare
from benchmarks.plot import plot_stages
from benchmarks.results import write_json
from espnet_prune.bin.diarizer_options import read_config
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, positive, seed
from espnet_prune.diarization.pipeline import InferenceConfig
from espnet_prune.encoder import PRESETS
from espnet_prune.storage.files import atomic_write

_SYNTHETIC_SPEAKERS = 10


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    models = ["wavlm_base_plus_s80"]
    help_ = f"of the encoder: {', '.join(PRESETS)} (default: {models[0]})"
    add("--models", nargs="*", metavar="MODEL", choices=list(PRESETS), default=models, help=help_)
    minutes = [6.0, 60.0, 120.0]
    add("--minutes", nargs="+", type=amount, default=minutes, help="(default: 6 60 120)")
    add("--speakers", nargs="+", type=positive, default=[2, 1, 4], help="(default: 2 1 4)")
    help_ = "windows per forward pass (default: 2 8)"
    add("--batch_sizes", nargs="+", type=positive, default=[2, 8], help=help_)
    help_ = "of the CPU (default: every core, then one)"
    add("--threads", nargs="+", type=positive, help=help_)
    help_ = (
        f"minutes of {_SYNTHETIC_SPEAKERS} speakers to cluster and stitch, no model (default: 240)"
    )
    add("--synthetic", nargs="*", type=amount, default=[240.0], metavar="MINUTES", help=help_)
    help_ = "YAML with keyword arguments of InferenceConfig (default: step 0.8)"
    add("--config", type=Path, help=help_)
    add("--seed", type=seed, default=0, help="of weights and audio")
    add("--output", type=Path, default=Path("exp"), help="folder (default: exp)")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("bench_diarization"):
        config = read_config(args.config, InferenceConfig(step=0.8))
        threads = args.threads or [torch.get_num_threads(), 1]
        args.threads = threads[0]
        setting = prepare(args)
        rows: list[StageRow] = []
        for case in dict.fromkeys(_cases(args, threads)):
            rows += measure(case, config, setting)
            write_json(rows, args.output / "bench_diarization.json")
            atomic_write(args.output / "bench_diarization.md", render(rows))
            if find_spec("matplotlib"):
                plot_stages(rows, args.output / "bench_diarization.png")
        print(render(rows))


def _cases(args: argparse.Namespace, threads: Sequence[int]) -> Iterator[Case]:
    for model in dict.fromkeys(args.models):
        yield from cases_of(model, args.minutes, args.speakers, args.batch_sizes, threads)
    for minutes in args.synthetic:
        yield Case(SYNTHETIC, minutes, _SYNTHETIC_SPEAKERS, args.batch_sizes[0], threads[0])


if __name__ == "__main__":
    main()
