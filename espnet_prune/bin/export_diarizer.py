"""Write a trained diarization model, and its encoder, as folders that need no ESPnet."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.powerset_task import PowersetDiarizationTask
from espnet_prune.formats.espnet import load_trained
from espnet_prune.storage.files import require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model_file", type=Path, help="weights from powerset_train, config.yaml beside them"
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="folder for the whole model; the encoder alone goes to its subfolder `encoder`",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("export_diarizer"):
        model = load_trained(PowersetDiarizationTask, args.model_file).model
        require_writable(args.output / "config.json")
        model.encoder.save_pretrained(args.output / "encoder")
        model.save_pretrained(args.output)


if __name__ == "__main__":
    main()
