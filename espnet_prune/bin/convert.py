"""Convert an SSL encoder from anywhere to a folder of this package or of transformers."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.encoder import SSLEncoder
from espnet_prune.formats import SOURCES, export_huggingface, import_encoder
from espnet_prune.pruning import count_params
from espnet_prune.storage.checkpoint import CONFIG
from espnet_prune.storage.files import new_folder

_Write = Callable[[SSLEncoder, Path], None]
FORMATS: dict[str, _Write] = {
    "espnet_prune": SSLEncoder.save_pretrained,
    "huggingface": export_huggingface,
}


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"SRC is one of\n{SOURCES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SRC", help="the encoder to read, see below")
    parser.add_argument(
        "destination", metavar="DST", type=Path, help="folder to write, new or empty"
    )
    parser.add_argument(
        "--format",
        choices=tuple(FORMATS),
        default="espnet_prune",
        help="of DST; huggingface is what transformers reads, and takes no encoder whose "
        "Transformer is pruned (default: %(default)s)",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    with explained("convert"):
        with new_folder(args.destination, last=CONFIG) as folder:
            encoder = import_encoder(args.source)
            FORMATS[args.format](encoder, folder)
        config = encoder.config
        print(
            f"{args.destination}: {config.family}, {len(config.layers)} layers, "
            f"{count_params(config).total / 1e6:.2f} M parameters"
        )


if __name__ == "__main__":
    main()
