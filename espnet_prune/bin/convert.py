"""Convert an SSL encoder from anywhere to a folder of this package or of transformers."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.pruning import count_params
from espnet_prune.ssl import SSLEncoder
from espnet_prune.ssl.checkpoint import CONFIG
from espnet_prune.ssl.exporters import export_huggingface
from espnet_prune.ssl.importers import SOURCES, import_encoder

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
        with _new_folder(args.destination) as folder:
            encoder = import_encoder(args.source)
            FORMATS[args.format](encoder, folder)
        config = encoder.config
        print(
            f"{args.destination}: {config.family}, {len(config.layers)} layers, "
            f"{count_params(config).total / 1e6:.2f} M parameters"
        )


@contextlib.contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """A folder to write in the ``with`` block, which becomes ``path`` at its end."""
    target = Path(os.path.realpath(path))
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(
            f"{path}: expected a new or empty folder, found one with files; remove it or choose "
            "another name"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    # All files appear at once: a killed run leaves no folder of weights without config. What is
    # mounted cannot be replaced, and is another disk than its parent.
    mounted = os.path.ismount(target)
    place = target if mounted else target.parent
    with tempfile.TemporaryDirectory(dir=place, prefix=f".{target.name}.") as temporary:
        folder = Path(temporary) / "model"
        yield folder
        if not mounted:
            os.replace(folder, target)
            return
        for file in sorted(folder.iterdir(), key=lambda file: file.name == CONFIG):
            os.replace(file, target / file.name)


if __name__ == "__main__":
    main()
