"""Plot a pruning: sparsity, loss and multipliers by epoch, and what was kept of each layer.

Writes pruning_curves.png and, where units were cut away, kept_structure.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.encoder import SSLEncoder
from espnet_prune.report.curves_plot import plot_pruning
from espnet_prune.report.history import read_history
from espnet_prune.report.plots import PRUNING, STRUCTURE
from espnet_prune.report.structure_plot import plot_structure
from espnet_prune.storage.files import require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("training", type=Path, help="folder of the training with gates")
    parser.add_argument("dense", type=Path, help="folder of the dense encoder")
    parser.add_argument("pruned", type=Path, help="folder of the pruned encoder")
    parser.add_argument(
        "--further", type=Path, help="folder of the training of the pruned model that followed"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the PNG files")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("plot_pruning"):
        for name in (PRUNING, STRUCTURE):
            require_writable(args.output / name)
        prune, further = (
            folder and read_history(folder / "checkpoint.pth")
            for folder in (args.training, args.further)
        )
        plot_pruning(prune, further, args.output / PRUNING)
        dense, pruned = (SSLEncoder.from_pretrained(f).config for f in (args.dense, args.pruned))
        if dense != pruned:
            plot_structure(dense, pruned, args.output / STRUCTURE)
        print(args.output)


if __name__ == "__main__":
    main()
