"""Write an encoder of the shape of another, with random weights: the control of a study."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from espnet_prune import SSLEncoder
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import seed


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("source", help="encoder with that shape: a folder, a file or a name of the hub")
    add("--seed", type=seed, required=True)
    add("--output", type=Path, required=True, help="folder")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("randomize"):
        config = SSLEncoder.from_pretrained(args.source).config
        torch.manual_seed(args.seed)
        SSLEncoder(config).save_pretrained(args.output)


if __name__ == "__main__":
    main()
