"""Report a finished recipe, test sets, a pruning or one recording: JSON, tables and plots."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, seed
from espnet_prune.bin.report_plots import add_plots
from espnet_prune.data import DataError
from espnet_prune.encoder.typed import read_typed
from espnet_prune.report.rates import read_sets, sets_table
from espnet_prune.storage.config_files import read_json
from espnet_prune.storage.files import atomic_write, require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    kind = kinds.add_parser(
        "diarization", help="results.json, RESULTS.md, report.html and images of a recipe"
    )
    kind.set_defaults(run=report_diarization)
    kind.add_argument("exp", type=Path, help="experiment folder of the recipe")
    kind.add_argument(
        "--data_dir", type=Path, required=True, help="formatted test set, with rttm and uem"
    )
    kind.add_argument("--set", required=True, help="name of the test set that was scored")
    kind.add_argument("--seed", type=seed, required=True, help="seed of the recipe")
    _add_speech(kinds.add_parser("speech", help="sizes, error rates and times of a speech recipe"))
    kind = kinds.add_parser(
        "sets", help="a table of several test sets' diarization, with the macro average"
    )
    kind.set_defaults(run=report_sets)
    kind.add_argument(
        "scores",
        type=Path,
        nargs="+",
        help="output of score_der --json, one file per set, named after it: AMI.json",
    )
    kind.add_argument(
        "--published",
        type=amount,
        nargs="+",
        metavar="DER",
        help="published DER of each set in percent, in the order of the files, to show beside",
    )
    add_plots(kinds)
    return parser


def _add_speech(kind: argparse.ArgumentParser) -> None:
    kind.description = (
        "A model's figures are kept in its folder as results.json, so that experiments that share "
        "a dense model can be reported in one table."
    )
    kind.set_defaults(run=report_speech)
    kind.add_argument(
        "models",
        nargs="+",
        metavar="NAME=FOLDER",
        help="columns of the table, the dense model first",
    )
    kind.add_argument(
        "--gather",
        nargs="+",
        type=Path,
        action="append",
        default=[],
        metavar=("FOLDER", "TRAINING"),
        help="before that write a model's results.json: its folder with encoder/ and <set>.json of "
        "score_asr, and the folders of the trainings that led to it; repeat it for each model",
    )
    kind.add_argument("--sets", nargs="+", default=[], help="names of the test sets")
    kind.add_argument(
        "--reference_seconds", type=amount, default=10.0, help="input length at which MACs count"
    )
    kind.add_argument("--seed", type=seed, required=True, help="seed of the recipe")
    kind.add_argument("--output", type=Path, help="Markdown file to write as well")


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("report"):
        args.run(args)


def report_diarization(args: argparse.Namespace) -> None:
    """Write figures, tables, plots and the page of them all."""
    # These and those of other kinds bring torch and matplotlib: --help does without.
    from espnet_prune.report.html import render_report
    from espnet_prune.report.inputs import find_inputs
    from espnet_prune.report.plots import TRAINING, plot_all
    from espnet_prune.report.results import gather, render_results, render_tables

    inputs = find_inputs(args.exp, args.data_dir, args.set)
    for name in ("results.json", "RESULTS.md", "report.html", f"images/{TRAINING}"):
        require_writable(args.exp / name)
    results = gather(inputs, args.seed)
    atomic_write(args.exp / "results.json", json.dumps(asdict(results), indent=2) + "\n")
    atomic_write(args.exp / "RESULTS.md", render_results(results, args.exp.name))
    print(render_tables(results))
    plot_all(inputs, args.exp / "images")
    # "exp" alone would not say of which recipe it is.
    name = "/".join(args.exp.resolve().parts[-3:])
    report = render_report(inputs, results, args.exp / "images", name)
    atomic_write(args.exp / "report.html", report)


def report_speech(args: argparse.Namespace) -> None:
    """Gather the figures of models, and show all that were gathered."""
    from espnet_prune.report import asr_results

    outputs = [folder / "results.json" for folder, *_ in args.gather]
    for output in [*outputs, *([args.output] if args.output else [])]:
        require_writable(output)
    for output, (folder, *trainings) in zip(outputs, args.gather, strict=True):
        found = asr_results.gather(folder, trainings, args.sets, args.reference_seconds)
        atomic_write(output, json.dumps(asdict(found), indent=1) + "\n")
    models = {}
    for text in args.models:
        name, _, folder = text.partition("=")
        if not (name and folder):
            raise DataError(f"expected NAME=FOLDER, found {text!r}")
        path = Path(folder, "results.json")
        models[name] = read_typed(asr_results.AsrModelResults, read_json(path), path)
    if args.output:
        atomic_write(args.output, asr_results.render_results(models, args.seed))
    print(asr_results.results_table(models).markdown())


def report_sets(args: argparse.Namespace) -> None:
    """Show test sets beside each other, and beside what others have published."""
    print(sets_table(read_sets(args.scores), args.published).markdown())


if __name__ == "__main__":
    main()
