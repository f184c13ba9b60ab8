"""Convert an SSL encoder from anywhere to a folder of this package or of transformers."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.encoder import SSLEncoder
from espnet_prune.formats import SOURCES, export_huggingface, import_encoder
from espnet_prune.history import new_step, public_name
from espnet_prune.pruning import count_params
from espnet_prune.storage.checkpoint import CONFIG
from espnet_prune.storage.files import new_folder

FORMATS: dict[str, Callable[[SSLEncoder, Path], None]] = {
    "espnet_prune": SSLEncoder.save_pretrained,
    "huggingface": export_huggingface,
}


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description=__doc__,
        epilog=f"SRC is one of\n{SOURCES}",
        formatter_class=RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("source", metavar="SRC", help="the encoder to read, see below")
    add("destination", metavar="DST", type=Path, help="folder to write, new or empty")
    add(
        "--format",
        choices=tuple(FORMATS),
        default="espnet_prune",
        help="of DST; huggingface is what transformers reads, and takes no encoder whose "
        "Transformer is pruned (default: %(default)s)",
    )
    return parser


@explained("convert", logs=True)
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    with new_folder(args.destination, last=CONFIG) as folder:
        encoder = import_encoder(args.source)
        step = new_step("converted", source=public_name(args.source))
        encoder.history = (*encoder.history, step)
        FORMATS[args.format](encoder, folder)
    config = encoder.config
    print(
        f"{args.destination}: {config.family}, {len(config.layers)} layers, "
        f"{count_params(config).total / 1e6:.2f} M parameters"
    )


if __name__ == "__main__":
    main()
