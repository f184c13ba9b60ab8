"""Plot one recording of RTTM files: reference, hypotheses and their errors over time."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.data import Region, Turn, read_rttm, read_uem
from espnet_prune.data.tables import entry_of
from espnet_prune.report.figure import check_plot
from espnet_prune.report.timeline_plot import Hypothesis, plot_timeline, timeline_name
from espnet_prune.scoring import score
from espnet_prune.storage.files import require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path, help="RTTM file of the true turns")
    parser.add_argument(
        "hypotheses", type=Path, nargs="+", help="RTTM files of the turns to compare"
    )
    parser.add_argument(
        "--recording", metavar="ID", help="recording to plot (default: the reference's first)"
    )
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
    with explained("plot_timeline"):
        if args.output:
            check_plot(args.output)
            require_writable(args.output)
        reference = read_rttm(args.reference)
        name = args.recording or min(reference, default="")
        output = args.output or Path(timeline_name(name))
        require_writable(output)
        tables = {path: read_rttm(path).get(name, []) for path in args.hypotheses}
        if args.uem:
            regions = entry_of(name, read_uem(args.uem), args.uem)
        else:
            turns = [*entry_of(name, reference, args.reference), *chain(*tables.values())]
            regions = [Region(name, min(t.start for t in turns), max(t.end for t in turns))]
        truth = reference.get(name, [])
        several = len(tables) > 1
        hypotheses = [
            _hypothesis(path.parent.name if several else path.name, truth, found, regions)
            for path, found in tables.items()
        ]
        plot_timeline(truth, hypotheses, regions, output)
        print(output)


def _hypothesis(
    name: str, truth: list[Turn], found: list[Turn], regions: list[Region]
) -> Hypothesis:
    recording = regions[0].recording
    der = score({recording: truth}, {recording: found}, {recording: regions}).total.der
    return Hypothesis(name, found, None if math.isnan(der) else der)


if __name__ == "__main__":
    main()
