"""Write a trained embedding head where `embedding: head` looks for it: beside its model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.diarization.inference_config import HEAD
from espnet_prune.espnet.embedding_task import EmbeddingTask
from espnet_prune.formats.espnet import load_trained


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model_file", type=Path, help="weights from embedding_train, config.yaml beside them"
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help=f"folder of the diarization model; the head goes to its subfolder `{HEAD}`",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("export_embedding"):
        load_trained(EmbeddingTask, args.model_file).head.save_pretrained(args.output / HEAD)


if __name__ == "__main__":
    main()
