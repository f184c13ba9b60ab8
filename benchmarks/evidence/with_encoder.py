"""Put another encoder into a diarization model, as it is: head and weights of layers stay."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from espnet_prune.bin.errors import explained
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import SSLEncoder


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="folder of a diarization model")
    parser.add_argument("encoder", type=Path, help="folder of an encoder, with its first layers")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("with_encoder"):
        model = DiarizationModel.from_pretrained(args.model)
        featurizer, encoder = model.featurizer, SSLEncoder.from_pretrained(args.encoder)
        featurizer.encoder = encoder
        states = len(encoder.config.layers) + 1
        featurizer.weights = nn.Parameter(featurizer.weights.detach()[:states].clone())
        model.save_pretrained(args.output)


if __name__ == "__main__":
    main()
