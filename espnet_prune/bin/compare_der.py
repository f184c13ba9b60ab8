"""Compare the DER of two systems on one set: is B worse than A, or can the set not tell?"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount
from espnet_prune.bin.score_der import add_scoring_options
from espnet_prune.data.rttm import read_rttm
from espnet_prune.data.uem import read_uem
from espnet_prune.report.table import Measure, Table, without_nan
from espnet_prune.scoring.significance import FEW, MARGIN, RESAMPLES, Comparison, compare, conclude

logger = logging.getLogger(__name__)
_MEASURES = (Measure("der_a", "A %"), Measure("der_b", "B %"), Measure("difference", "B - A"))


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path, help="RTTM file of the true turns")
    parser.add_argument("hypothesis_a", type=Path, help="RTTM file of system A, say the dense one")
    parser.add_argument("hypothesis_b", type=Path, help="RTTM file of system B, say the pruned one")
    parser.add_argument(
        "--margin",
        type=amount,
        default=MARGIN,
        help="DER, as a fraction, that B may lose without it being called a degradation; "
        f"to be chosen before looking at results (default: {MARGIN})",
    )
    add_scoring_options(
        parser, RESAMPLES, help=f"resamples of the recordings (default: {RESAMPLES})"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    from espnet_prune.scoring.der import score  # brings matplotlib: --help does without

    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    with explained("compare_der"):
        reference = read_rttm(args.reference)
        uem = read_uem(args.uem) if args.uem else None
        a, b = (
            score(reference, read_rttm(hypothesis), uem, args.collar, args.skip_overlap)
            for hypothesis in (args.hypothesis_a, args.hypothesis_b)
        )
        found = compare(a, b, args.margin, args.bootstrap, args.seed)
        if len(found.recordings) < FEW:
            logger.warning(
                "%d recordings are few: the interval is likely too narrow", len(found.recordings)
            )
        recordings = {name: without_nan(each._asdict()) for name, each in found.recordings.items()}
        print(_json(found, recordings) if args.json else _text(found, recordings))


def _json(found: Comparison, recordings: dict[str, dict[str, Any]]) -> str:
    low, high = found.interval
    values = {"low": low, "high": high, "conclusion": conclude(found), "recordings": recordings}
    replaced = ("interval", "recordings")
    totals = {key: value for key, value in vars(found).items() if key not in replaced}
    return json.dumps(totals | values, indent=2)


def _text(found: Comparison, recordings: dict[str, dict[str, Any]]) -> str:
    rows = [*recordings.items(), ("TOTAL", vars(found))]
    share = (
        f"B is worse by more than {100 * found.margin:g} points in {100 * found.worse:.1f} % "
        "of the resamples."
    )
    return "\n".join([Table.of("recording", _MEASURES, rows).text(), share, conclude(found)])


if __name__ == "__main__":
    main()
