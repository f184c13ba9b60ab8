"""Measure real-time factor and memory of each stage of diarization; bench_diarization.json."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.diarization import StageRow, measure, render
from benchmarks.options import prepare
from benchmarks.results import write_json
from espnet_prune.bin.diarizer_options import read_config
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, seed
from espnet_prune.diarization.pipeline import InferenceConfig
from espnet_prune.encoder import PRESETS
from espnet_prune.storage.files import atomic_write


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="MODEL",
        choices=list(PRESETS),
        default=["wavlm_base_plus_s80"],
        help=f"of the encoder: {', '.join(PRESETS)} (default: wavlm_base_plus_s80)",
    )
    parser.add_argument(
        "--minutes", nargs="+", type=amount, default=[6.0, 60.0, 120.0], help="(default: 6 60 120)"
    )
    parser.add_argument(
        "--config",
        type=Path,
        help="YAML with keyword arguments of InferenceConfig (default: step 0.8)",
    )
    parser.add_argument("--threads", type=int, help="of the CPU (default: every core)")
    parser.add_argument("--seed", type=seed, default=0, help="of weights and audio")
    parser.add_argument("--output", type=Path, default=Path("exp"), help="folder (default: exp)")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("bench_diarization"):
        setting = prepare(args)
        config = read_config(args.config, InferenceConfig(step=0.8))
        rows: list[StageRow] = []
        for model in dict.fromkeys(args.models):
            for minutes in args.minutes:
                rows += measure(model, minutes, config, setting)
                write_json(rows, args.output / "bench_diarization.json")
                atomic_write(args.output / "bench_diarization.md", render(rows))
        print(render(rows))


if __name__ == "__main__":
    main()
