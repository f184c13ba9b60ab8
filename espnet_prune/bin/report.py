"""Report a finished recipe: results.json, tables in Markdown and HTML, plots of it all."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import seed
from espnet_prune.report.html import render_report
from espnet_prune.report.inputs import find_inputs
from espnet_prune.report.plots import TRAINING, plot_all
from espnet_prune.report.results import gather, write_results
from espnet_prune.report.table import render_results, render_tables
from espnet_prune.storage.files import atomic_write, require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exp", type=Path, help="experiment folder of the recipe")
    parser.add_argument(
        "--data_dir", type=Path, required=True, help="formatted test set, with rttm and uem"
    )
    parser.add_argument("--set", required=True, help="name of the test set that was scored")
    parser.add_argument("--seed", type=seed, required=True, help="seed of the recipe")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("report"):
        inputs = find_inputs(args.exp, args.data_dir, args.set)
        for name in ("results.json", "RESULTS.md", "report.html", f"images/{TRAINING}"):
            require_writable(args.exp / name)
        results = gather(inputs, args.seed)
        write_results(results, args.exp / "results.json")
        atomic_write(args.exp / "RESULTS.md", render_results(results, args.exp.name))
        print(render_tables(results))
        plot_all(inputs, args.exp / "images")
        # "exp" alone would not say of which recipe it is.
        name = "/".join(args.exp.resolve().parts[-3:])
        report = render_report(inputs, results, args.exp / "images", name)
        atomic_write(args.exp / "report.html", report)


if __name__ == "__main__":
    main()
