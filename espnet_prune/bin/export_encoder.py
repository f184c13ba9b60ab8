"""Write the encoder of a model that voice_train trained as a folder that needs no ESPnet."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.trained import load_trained
from espnet_prune.espnet.voice_task import VoiceTask
from espnet_prune.ssl.checkpoint import CONFIG
from espnet_prune.ssl.files import require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model_file", type=Path, help="weights from voice_train, config.yaml beside them"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the encoder")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("export_encoder"):
        require_writable(args.output / CONFIG)
        load_trained(VoiceTask, args.model_file).encoder.save_pretrained(args.output)


if __name__ == "__main__":
    main()
