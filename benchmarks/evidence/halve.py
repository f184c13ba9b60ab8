"""Write a model's folder again, its weights in float16: as those that come with the package."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.storage.checkpoint import CONFIG, halved, load_folder, read_config, save_folder


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="folder of a model of this package")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("halve"):
        kind = read_config(args.model / CONFIG)["kind"]
        config, state = load_folder(args.model, kind)
        save_folder(args.output, kind, config, halved(state))


if __name__ == "__main__":
    main()
