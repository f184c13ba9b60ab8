"""Time training steps with and without gates and teacher: table and bench_training.json."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.options import add_options, prepare
from benchmarks.results import Input, write_json
from benchmarks.training import TrainingRow, compare_training, render
from espnet_prune.bin.errors import explained
from espnet_prune.storage.files import atomic_write


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, ["1x8"], "presets, each its own teacher", limit=30.0)
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("bench_training"):
        inputs = [Input.parse(text) for text in dict.fromkeys(args.inputs)]
        setting = prepare(args)
        rows: list[TrainingRow] = []
        for model in dict.fromkeys(args.models):
            for input in inputs:
                rows += compare_training(model, input, setting, args.rounds, args.limit)
                write_json(rows, args.output / "bench_training.json")
                atomic_write(args.output / "bench_training.md", render(rows))
        print(render(rows))


if __name__ == "__main__":
    main()
