"""Convert a published SSL encoder to a folder of this package (config.json, model.safetensors)."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.ssl import SSLEncoder
from espnet_prune.ssl.importers import import_encoder


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "source",
        metavar="SRC",
        help="Microsoft's WavLM .pt file, a WavLM folder that transformers saved, a Hugging Face "
        "id such as microsoft/wavlm-base-plus, or a folder of this package",
    )
    parser.add_argument(
        "destination", metavar="DST", type=Path, help="folder to write, new or empty"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    try:
        _check_is_free(args.destination)
        encoder = import_encoder(args.source)
        _save(encoder, args.destination)
    except (ValueError, OSError) as error:
        sys.exit(f"convert: {error}")
    parameters = sum(parameter.numel() for parameter in encoder.parameters())
    print(
        f"{args.destination}: {encoder.config.family}, {len(encoder.config.layers)} layers, "
        f"{parameters / 1e6:.1f} M parameters"
    )


def _check_is_free(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(
            f"{folder}: expected a new or empty folder, found one with files; remove it or choose "
            "another name"
        )


def _save(encoder: SSLEncoder, folder: Path) -> None:
    # Both files appear at once: a killed run leaves no folder of weights without config.
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        encoder.save_pretrained(Path(temporary) / "model")
        os.replace(Path(temporary) / "model", folder)


if __name__ == "__main__":
    main()
