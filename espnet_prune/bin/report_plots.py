"""The kinds of ``report`` that draw: a pruning, one recording over time, error over cost."""

from __future__ import annotations

import argparse
import math
from itertools import chain
from pathlib import Path
from typing import Any

from espnet_prune.data import DataError, Region, read_rttm, read_uem
from espnet_prune.data.tables import entry_of
from espnet_prune.report.figure import check_plot, save_plot
from espnet_prune.storage.files import require_writable


def add_plots(kinds: Any) -> None:
    """Add ``pruning``, ``timeline`` and ``trade_off`` to the kinds of a parser."""
    kind = kinds.add_parser(
        "pruning",
        help="sparsity, loss and multipliers by epoch, and what was kept of each layer",
        description="Writes pruning_curves.png and, where units were cut away, kept_structure.png.",
    )
    kind.set_defaults(run=plot_pruning)
    kind.add_argument("training", type=Path, help="folder of the training with gates")
    kind.add_argument("dense", type=Path, help="folder of the dense encoder")
    kind.add_argument("pruned", type=Path, help="folder of the pruned encoder")
    kind.add_argument(
        "--further", type=Path, help="folder of the training of the pruned model that followed"
    )
    kind.add_argument("--output", type=Path, required=True, help="folder for the PNG files")
    kind = kinds.add_parser("timeline", help="reference, hypotheses and their errors over time")
    kind.set_defaults(run=plot_timeline)
    kind.add_argument("reference", type=Path, help="RTTM file of the true turns")
    kind.add_argument("hypotheses", type=Path, nargs="+", help="RTTM files of the turns to compare")
    kind.add_argument(
        "--recording", metavar="ID", help="recording to plot (default: the reference's first)"
    )
    kind.add_argument(
        "--uem", type=Path, help="scored regions (default: the extent of the recording's turns)"
    )
    kind.add_argument(
        "--output",
        type=Path,
        help="PNG, PDF, SVG or JPEG file to write (default: timeline_ID.png in this folder)",
    )
    _add_trade_off(
        kinds.add_parser("trade_off", help="error over cost for several sizes, the knee")
    )


def _add_trade_off(kind: argparse.ArgumentParser) -> None:
    kind.description = (
        "Prints a table and draws a curve. Of the models that none beats in both, the knee is "
        "where saving more begins to cost more."
    )
    kind.set_defaults(run=plot_trade_off)
    kind.add_argument(
        "models",
        nargs="+",
        metavar="MODEL=SCORES",
        help="a model's folder, and what score_der --json or score_asr --output wrote of it",
    )
    kind.add_argument("--cost", choices=("params", "macs"), default="macs", help="(default: macs)")
    kind.add_argument("--output", type=Path, help="PNG, PDF, SVG or JPEG file to draw")


def plot_pruning(args: argparse.Namespace) -> None:
    """Write the plots of a pruning to a folder."""
    # These and those of the timeline bring torch and matplotlib: --help does without.
    from espnet_prune.encoder import SSLEncoder
    from espnet_prune.report.history import read_history
    from espnet_prune.report.plots import PRUNING, STRUCTURE, draw_pruning, draw_structure

    for name in (PRUNING, STRUCTURE):
        require_writable(args.output / name)
    prune, further = (
        folder and read_history(folder / "checkpoint.pth")
        for folder in (args.training, args.further)
    )
    save_plot(draw_pruning(prune, further), args.output / PRUNING)
    dense, pruned = (SSLEncoder.from_pretrained(f).config for f in (args.dense, args.pruned))
    if dense != pruned:
        save_plot(draw_structure(dense, pruned), args.output / STRUCTURE)
    print(args.output)


def plot_timeline(args: argparse.Namespace) -> None:
    """Write the plot of one recording; errors and DER are those without a collar."""
    from espnet_prune.report.timeline import Hypothesis, draw_timeline, timeline_name
    from espnet_prune.scoring.der import score

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
    hypotheses = []
    for path, found in tables.items():
        der = score({name: truth}, {name: found}, {name: regions}).total.der
        label = path.parent.name if len(tables) > 1 else path.name
        hypotheses.append(Hypothesis(label, found, None if math.isnan(der) else der))
    save_plot(draw_timeline(truth, hypotheses, regions), output)
    print(output)


def plot_trade_off(args: argparse.Namespace) -> None:
    """Print the costs and errors of models, and draw them."""
    from espnet_prune.formats.sources import encoder_of
    from espnet_prune.report.trade_off import draw, read_point, render

    if args.output:
        check_plot(args.output)
        require_writable(args.output)
    points = []
    for text in args.models:
        model, _, scores = text.partition("=")
        if not (model and scores):
            raise DataError(f"expected MODEL=SCORES, found {text!r}")
        config = encoder_of(model).config
        points.append(read_point(Path(model).name, config, Path(scores), args.cost))
    print(render(points, args.cost))
    if args.output:
        save_plot(draw(points, args.cost), args.output)
