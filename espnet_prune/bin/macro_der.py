"""Put the results of several sets in one Markdown table, with their macro average."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount
from espnet_prune.bin.score_der import RATES, percent
from espnet_prune.data.tables import DataError
from espnet_prune.report.markdown import markdown_table
from espnet_prune.report.results import read_scores

MACRO = "macro average"


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "scores",
        type=Path,
        nargs="+",
        help="output of score_der --json, one file per set, named after it: AMI.json",
    )
    parser.add_argument(
        "--published",
        type=amount,
        nargs="+",
        metavar="DER",
        help="published DER of each set in percent, in the order of the files, to show beside",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("macro_der"):
        print(render(read_sets(args.scores), args.published))


def read_sets(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Read the scores of each set, by the names of their files, or by their paths if need be.

    Raises:
        DataError: a file is listed twice, damaged, or has no speech.
    """
    stems = [path.stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise DataError(
            f"expected each set once, found one twice among {', '.join(names)}; list it once"
        )
    sets = {name: read_scores(path) for name, path in zip(names, paths, strict=True)}
    for name, scores in sets.items():
        if any(scores[rate] is None for rate in RATES):
            raise DataError(
                f"{name}: expected a set with speech, found none; leave it out of the average"
            )
    return sets


def macro_average(sets: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The mean of each rate over sets, each counting the same whatever its length."""
    return {rate: fmean(scores[rate] for scores in sets.values()) for rate in RATES}


def render(sets: Mapping[str, Mapping[str, Any]], published: Sequence[float] | None = None) -> str:
    """A Markdown table in percent: a line per set, then the macro average.

    Args:
        sets: scores of each set as fractions; where one has ``der_low``, a column shows intervals.
        published: DER of each set in percent, if to be shown.

    Raises:
        DataError: another number of published DERs than of sets.
    """
    header = ["set", "DER %", "miss", "FA", "conf", "JER %"]
    rows = [
        [name, *(percent(scores[rate]) for rate in RATES)]
        for name, scores in [*sets.items(), (MACRO, macro_average(sets))]
    ]
    if any("der_low" in scores for scores in sets.values()):
        header.append("DER, 95 % interval")
        cells = [*map(_interval, sets.values()), ""]
        rows = [[*row, cell] for row, cell in zip(rows, cells, strict=True)]
    if published is not None:
        if len(published) != len(sets):
            raise DataError(
                f"expected a published DER for each of {len(sets)} sets, found {len(published)}"
            )
        header.append("published DER %")
        cells = [f"{der:.2f}" for der in [*published, fmean(published)]]
        rows = [[*row, cell] for row, cell in zip(rows, cells, strict=True)]
    return "\n".join(markdown_table(header, rows, text=1))


def _interval(scores: Mapping[str, Any]) -> str:
    low, high = scores.get("der_low"), scores.get("der_high")
    return "" if low is None or high is None else f"{percent(low)} to {percent(high)}"


if __name__ == "__main__":
    main()
