"""Time encoders, dense and pruned, beside other implementations: table, plot and bench.json."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks.comparison import compare
from benchmarks.implementations import PRECISIONS, fast_precisions
from benchmarks.options import add_options, prepare
from benchmarks.plot import plot
from benchmarks.results import Input, Row, write_json
from benchmarks.table import render
from espnet_prune.bin.errors import explained
from espnet_prune.storage.files import atomic_write


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    models = "dense presets, each beside its pruned shape if it has one"
    add_options(parser, ["1x8", "4x8", "1x30"], models, limit=5.0)
    parser.add_argument(
        "--precisions",
        nargs="+",
        metavar="PRECISION",
        help="default: "
        + "; ".join(f"{' '.join(names)} on {device}" for device, names in PRECISIONS.items())
        + ", without bfloat16 on a processor that has no instructions for it",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("bench"):
        inputs = [Input.parse(text) for text in dict.fromkeys(args.inputs)]
        setting = prepare(args)
        precisions = args.precisions or fast_precisions(setting.device)
        if unknown := sorted(set(precisions) - set(PRECISIONS[setting.device])):
            raise ValueError(
                f"expected precisions that the {setting.device} has "
                f"({', '.join(PRECISIONS[setting.device])}), found {', '.join(unknown)}"
            )
        rows: list[Row] = []
        for model in dict.fromkeys(args.models):
            with tempfile.TemporaryDirectory(dir=args.output) as folder:
                for found in compare(
                    model, inputs, precisions, setting, args.rounds, args.limit, Path(folder)
                ):
                    rows += found
                    write(rows, args.output)
        print(render(rows))


def write(rows: Sequence[Row], folder: Path) -> None:
    """Write ``bench.json``, ``bench.md`` and, beside matplotlib, ``bench.png``, atomically."""
    write_json(rows, folder / "bench.json")
    atomic_write(folder / "bench.md", render(rows))
    if find_spec("matplotlib"):
        plot(rows, folder / "bench.png")


if __name__ == "__main__":
    main()
