"""Compare the DER of two systems on one set: is B worse than A, or can the set not tell?"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, positive, seed
from espnet_prune.bin.score_der import add_der_options, add_uem_option, or_null, percent
from espnet_prune.data.rttm import read_rttm
from espnet_prune.data.uem import read_uem
from espnet_prune.scoring.der import score
from espnet_prune.scoring.significance import FEW, MARGIN, RESAMPLES, Comparison, compare, conclude

logger = logging.getLogger(__name__)


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path, help="RTTM file of the true turns")
    parser.add_argument("hypothesis_a", type=Path, help="RTTM file of system A, say the dense one")
    parser.add_argument("hypothesis_b", type=Path, help="RTTM file of system B, say the pruned one")
    add_uem_option(parser)
    add_der_options(parser)
    parser.add_argument(
        "--margin",
        type=amount,
        default=MARGIN,
        help="DER, as a fraction, that B may lose without it being called a degradation; "
        f"to be chosen before looking at results (default: {MARGIN})",
    )
    parser.add_argument(
        "--bootstrap",
        type=positive,
        default=RESAMPLES,
        metavar="N",
        help=f"resamples of the recordings (default: {RESAMPLES})",
    )
    parser.add_argument("--seed", type=seed, default=0, help="of the resamples (default: 0)")
    parser.add_argument(
        "--json", action="store_true", help="print fractions as JSON instead of a table in percent"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
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
        print(_json(found) if args.json else _table(found))


def _json(found: Comparison) -> str:
    values = asdict(found)
    low, high = values.pop("interval")
    recordings = {
        name: {key: or_null(value) for key, value in each._asdict().items()}
        for name, each in values.pop("recordings").items()
    }
    values |= {"low": low, "high": high, "conclusion": conclude(found), "recordings": recordings}
    return json.dumps(values, indent=2)


def _table(found: Comparison) -> str:
    rows = [("recording", "A %", "B %", "B - A"), *(
        (name, *map(percent, each)) for name, each in found.recordings.items()
    )]  # fmt: skip
    rows.append(("TOTAL", percent(found.der_a), percent(found.der_b), percent(found.difference)))
    width = max(len(name) for name, *_ in rows)
    lines = [f"{name:{width}}  {a:>7} {b:>7} {b_a:>7}" for name, a, b, b_a in rows]
    lines.append(
        f"B is worse by more than {100 * found.margin:g} points in {100 * found.worse:.1f} % "
        "of the resamples."
    )
    return "\n".join([*lines, conclude(found)])


if __name__ == "__main__":
    main()
