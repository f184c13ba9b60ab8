"""Report a speech recipe: sizes, MACs, error rates and training time, dense beside pruned.

A model's figures are kept in its folder as results.json, so that experiments that share a dense
model can be reported in one table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, seed
from espnet_prune.data import DataError
from espnet_prune.report.asr_results import (
    gather,
    read_results,
    render_results,
    render_table,
    write_results,
)
from espnet_prune.storage.files import atomic_write, require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "models",
        nargs="+",
        metavar="NAME=FOLDER",
        help="columns of the table, the dense model first",
    )
    parser.add_argument(
        "--gather",
        nargs="+",
        type=Path,
        action="append",
        default=[],
        metavar=("FOLDER", "TRAINING"),
        help="before that write a model's results.json: its folder with encoder/ and <set>.json of "
        "score_asr, and the folders of the trainings that led to it; repeat it for each model",
    )
    parser.add_argument("--sets", nargs="+", default=[], help="names of the test sets")
    parser.add_argument(
        "--reference_seconds", type=amount, default=10.0, help="input length at which MACs count"
    )
    parser.add_argument("--seed", type=seed, required=True, help="seed of the recipe")
    parser.add_argument("--output", type=Path, help="Markdown file to write as well")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("asr_report"):
        outputs = [folder / "results.json" for folder, *_ in args.gather]
        for output in [*outputs, *([args.output] if args.output else [])]:
            require_writable(output)
        for folder, *trainings in args.gather:
            found = gather(folder / "encoder", trainings, folder, args.sets, args.reference_seconds)
            write_results(found, folder / "results.json")
        named = map(_named, args.models)
        models = {name: read_results(folder / "results.json") for name, folder in named}
        if args.output:
            atomic_write(args.output, render_results(models, args.seed))
        print(render_table(models))


def _named(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not (name and separator and folder):
        raise DataError(f"expected NAME=FOLDER, found {text!r}")
    return name, Path(folder)


if __name__ == "__main__":
    main()
