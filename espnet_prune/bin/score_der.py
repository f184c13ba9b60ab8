"""Score an RTTM file against a reference RTTM file: DER with its parts, and JER."""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from espnet_prune.diarization.rttm import read_rttm
from espnet_prune.diarization.scoring import Score, Scores, score
from espnet_prune.diarization.uem import read_uem

RATES = ("der", "miss", "false_alarm", "confusion", "jer")


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path, help="RTTM file of the true turns")
    parser.add_argument("hypothesis", type=Path, help="RTTM file of the turns to score")
    parser.add_argument(
        "--uem", type=Path, help="scored regions (default: the extent of each recording's turns)"
    )
    parser.add_argument(
        "--collar",
        type=float,
        default=0.0,
        help="seconds on each side of a reference boundary that DER leaves out (default: 0)",
    )
    parser.add_argument(
        "--skip_overlap", action="store_true", help="leave overlapping speech out of DER"
    )
    parser.add_argument(
        "--json", action="store_true", help="print fractions as JSON instead of a table in percent"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    try:
        scores = score(
            read_rttm(args.reference),
            read_rttm(args.hypothesis),
            read_uem(args.uem) if args.uem else None,
            args.collar,
            args.skip_overlap,
        )
    except (ValueError, OSError) as error:
        sys.exit(f"score_der: {error}")
    print(_json(scores) if args.json else _table(scores))


def _json(scores: Scores) -> str:
    recordings = {name: _values(each) for name, each in scores.recordings.items()}
    return json.dumps(_values(scores.total) | {"recordings": recordings}, indent=2)


def _values(each: Score) -> dict[str, float | None]:
    # JSON has no NaN, which stands for the rates of a reference without speech.
    return {name: None if math.isnan(value) else value for name, value in asdict(each).items()}


def _table(scores: Scores) -> str:
    rows = [*scores.recordings.items(), ("TOTAL", scores.total)]
    width = max(len(name) for name, _ in [("recording", None), *rows])
    lines = [f"{'recording':{width}}  {'DER %':>7} {'miss':>7} {'FA':>7} {'conf':>7} {'JER %':>7} "
             f"{'speech s':>9}"]  # fmt: skip
    for name, each in rows:
        rates = (100 * getattr(each, rate) for rate in RATES)
        cells = " ".join(f"{'n/a' if math.isnan(rate) else f'{rate:.2f}':>7}" for rate in rates)
        lines.append(f"{name:{width}}  {cells} {each.speech:9.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
