"""Plot one recording of two RTTM files: reference, hypothesis and errors over time."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from espnet_prune.bin.errors import explained
from espnet_prune.diarization import DataError, Region, read_rttm, read_uem, score
from espnet_prune.report.figure import check_plot
from espnet_prune.report.timeline_plot import Hypothesis, plot_timeline, timeline_name
from espnet_prune.ssl.files import require_writable

T = TypeVar("T")


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path, help="RTTM file of the true turns")
    parser.add_argument("hypothesis", type=Path, help="RTTM file of the turns to compare")
    parser.add_argument("--recording", required=True, metavar="ID", help="recording to plot")
    parser.add_argument(
        "--uem", type=Path, help="scored regions (default: the extent of the recording's turns)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="PNG, PDF, SVG or JPEG file to write (default: timeline_ID.png in this folder)",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    name, output = args.recording, args.output or Path(timeline_name(args.recording))
    with explained("plot_timeline"):
        check_plot(output)
        require_writable(output)
        reference = read_rttm(args.reference)
        found = read_rttm(args.hypothesis).get(name, [])
        if args.uem:
            regions = _of(name, read_uem(args.uem), args.uem)
        else:
            turns = [*_of(name, reference, args.reference), *found]
            regions = [Region(name, min(t.start for t in turns), max(t.end for t in turns))]
        truth = reference.get(name, [])
        der = score({name: truth}, {name: found}, {name: regions}).total.der
        hypothesis = Hypothesis(args.hypothesis.name, found, None if math.isnan(der) else der)
        plot_timeline(truth, [hypothesis], regions, output)
        print(output)


def _of(name: str, table: Mapping[str, list[T]], path: Path) -> list[T]:
    if name not in table:
        listed = ", ".join(sorted(table)[:10]) or "none"
        raise DataError(
            f"{path}: expected a line of the recording {name!r}, found {listed}; "
            "name one of these with --recording"
        )
    return table[name]


if __name__ == "__main__":
    main()
