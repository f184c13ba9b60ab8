"""Score an RTTM file against a reference RTTM file: DER with its parts, and JER."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, positive, seed
from espnet_prune.data.rttm import read_rttm
from espnet_prune.data.uem import read_uem
from espnet_prune.report.rates import RATES
from espnet_prune.report.table import Measure, Table, without_nan
from espnet_prune.scoring.significance import Interval, rate_intervals


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path, help="RTTM file of the true turns")
    parser.add_argument("hypothesis", type=Path, help="RTTM file of the turns to score")
    add_scoring_options(
        parser,
        bootstrap=None,
        help="add 95 %% intervals of DER and JER from N resamples of the recordings, say 10000",
    )
    return parser


def add_scoring_options(parser: argparse.ArgumentParser, bootstrap: int | None, help: str) -> None:
    """Add what is scored, by how many resamples as ``help`` says, and printed."""
    parser.add_argument(
        "--uem", type=Path, help="scored regions (default: the extent of each recording's turns)"
    )
    add_der_options(parser)
    parser.add_argument("--bootstrap", type=positive, default=bootstrap, metavar="N", help=help)
    parser.add_argument("--seed", type=seed, default=0, help="of the resamples (default: 0)")
    parser.add_argument(
        "--json", action="store_true", help="print fractions as JSON instead of a table in percent"
    )


def add_der_options(parser: argparse.ArgumentParser) -> None:
    """Add what DER may leave out."""
    parser.add_argument(
        "--collar",
        type=amount,
        default=0.0,
        help="seconds on each side of a reference boundary that DER leaves out (default: 0)",
    )
    parser.add_argument(
        "--skip_overlap", action="store_true", help="leave overlapping speech out of DER"
    )


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    from espnet_prune.scoring.der import score  # brings matplotlib: --help does without

    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    with explained("score_der"):
        scores = score(
            read_rttm(args.reference),
            read_rttm(args.hypothesis),
            read_uem(args.uem) if args.uem else None,
            args.collar,
            args.skip_overlap,
        )
        recordings = {name: without_nan(vars(each)) for name, each in scores.recordings.items()}
        total = without_nan(vars(scores.total))
        rows = [*recordings.items(), ("TOTAL", total)]
        if args.bootstrap is not None:
            intervals = rate_intervals(scores.counts.values(), args.bootstrap, args.seed)
            for rate, interval in intervals._asdict().items():
                ends = {f"{rate}_{end}": value for end, value in interval._asdict().items()}
                total |= without_nan(ends)
            rows += [
                (f"95 % {end}", {rate: total[f"{rate}_{end}"] for rate in intervals._fields})
                for end in Interval._fields
            ]
        if args.json:
            print(json.dumps(total | {"recordings": recordings}, indent=2))
        else:
            measures = [*RATES, Measure("speech", "speech s", scale=1)]
            print(Table.of("recording", measures, rows).text())


if __name__ == "__main__":
    main()
