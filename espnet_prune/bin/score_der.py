"""Score an RTTM file against a reference RTTM file: DER with its parts, and JER."""

from __future__ import annotations

import argparse
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, positive, seed
from espnet_prune.data.rttm import read_rttm
from espnet_prune.data.uem import read_uem
from espnet_prune.scoring.der import Score, Scores, score
from espnet_prune.scoring.significance import Intervals, rate_intervals

RATES = ("der", "miss", "false_alarm", "confusion", "jer")


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path, help="RTTM file of the true turns")
    parser.add_argument("hypothesis", type=Path, help="RTTM file of the turns to score")
    add_uem_option(parser)
    add_der_options(parser)
    parser.add_argument(
        "--bootstrap",
        type=positive,
        metavar="N",
        help="add 95 %% intervals of DER and JER from N resamples of the recordings, say 10000",
    )
    parser.add_argument("--seed", type=seed, default=0, help="of the resamples (default: 0)")
    parser.add_argument(
        "--json", action="store_true", help="print fractions as JSON instead of a table in percent"
    )
    return parser


def add_uem_option(parser: argparse.ArgumentParser) -> None:
    """Add what says which time is scored."""
    parser.add_argument(
        "--uem", type=Path, help="scored regions (default: the extent of each recording's turns)"
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
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    with explained("score_der"):
        scores = score(
            read_rttm(args.reference),
            read_rttm(args.hypothesis),
            read_uem(args.uem) if args.uem else None,
            args.collar,
            args.skip_overlap,
        )
        intervals = None
        if args.bootstrap is not None:
            intervals = rate_intervals(scores.counts.values(), args.bootstrap, args.seed)
        print(_json(scores, intervals) if args.json else _table(scores, intervals))


def or_null(value: float) -> float | None:
    """The value for JSON, which has no NaN: that stands for rates of a set without speech."""
    return None if math.isnan(value) else value


def percent(rate: float) -> str:
    """A rate in percent, or n/a where there is none."""
    return "n/a" if math.isnan(rate) else f"{100 * rate:.2f}"


def _json(scores: Scores, intervals: Intervals | None) -> str:
    total = _values(scores.total)
    for rate, interval in intervals._asdict().items() if intervals else ():
        total |= {f"{rate}_low": or_null(interval.low), f"{rate}_high": or_null(interval.high)}
    recordings = {name: _values(each) for name, each in scores.recordings.items()}
    return json.dumps(total | {"recordings": recordings}, indent=2)


def _values(each: Score) -> dict[str, float | None]:
    return {name: or_null(value) for name, value in asdict(each).items()}


def _table(scores: Scores, intervals: Intervals | None) -> str:
    rows = [
        [name, *(percent(getattr(each, rate)) for rate in RATES), f"{each.speech:.2f}"]
        for name, each in [*scores.recordings.items(), ("TOTAL", scores.total)]
    ]
    if intervals:
        rows += [
            [f"95 % {end}", percent(der), "", "", "", percent(jer), ""]
            for end, der, jer in zip(("low", "high"), *intervals, strict=True)
        ]
    header = ["recording", "DER %", "miss", "FA", "conf", "JER %", "speech s"]
    width = max(len(row[0]) for row in [header, *rows])
    lines = []
    for name, *rates, speech in [header, *rows]:
        cells = " ".join(f"{cell:>7}" for cell in rates)
        lines.append(f"{name:{width}}  {cells} {speech:>9}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    main()
