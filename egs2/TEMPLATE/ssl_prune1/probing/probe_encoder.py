"""Probe frozen encoders: a linear classifier on their hidden states, accuracy beside size and cost.

Of one encoder and one probe, "units" in the file has errors and total of every speaker.

Example: python -m egs2.TEMPLATE.ssl_prune1.probing.probe_encoder \\
    dense=exp/ssl pruned=exp/pruned_encoder --probe speaker utt2spk data/dev \\
    --probe intent text data/train data/test \\
    --output probe.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from egs2.TEMPLATE.ssl_prune1.probing.classifier import Probe, run_probe
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import seed
from espnet_prune.encoder import SSLEncoder
from espnet_prune.pruning import count_macs, count_params
from espnet_prune.storage.files import atomic_write

MACS_SECONDS = 10.0


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "encoders", nargs="+", metavar="NAME=ENCODER", help="a name, and an encoder of any format"
    )
    parser.add_argument(
        "--probe",
        action="append",
        nargs="+",
        required=True,
        metavar=("NAME LABELS TRAIN", "TEST"),
        help="NAME of the probe; LABELS, a file whose first word after the key is the label, as "
        "utt2spk, in the data directories TRAIN and TEST; without TEST, five folds of TRAIN. "
        "LABELS 'characters': those of text, recognised by a linear map trained with CTC. "
        "May be repeated",
    )
    parser.add_argument("--seed", type=seed, default=0, help="of the folds, and noted (default: 0)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file")
    return parser


def _named(text: str) -> tuple[str, str]:
    name, equals, source = text.partition("=")
    if not (name and equals and source):
        raise ValueError(f"expected NAME=ENCODER, found {text!r}")
    return name, source


def _probe(words: Sequence[str]) -> Probe:
    if len(words) not in (3, 4):
        raise ValueError(
            f"expected --probe NAME LABELS TRAIN [TEST], found --probe {' '.join(words)}"
        )
    return Probe(words[0], words[1], *map(Path, words[2:]))


def _size(encoder: SSLEncoder) -> dict[str, int]:
    return {
        "params": count_params(encoder.config).total,
        "macs": count_macs(encoder.config, MACS_SECONDS).total,
    }


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("probe_encoder"):
        probes = [_probe(words) for words in args.probe]
        sources = dict(map(_named, args.encoders))
        encoders = {name: SSLEncoder.from_pretrained(path) for name, path in sources.items()}
        results: dict[str, Any] = {
            "seed": args.seed,
            "encoders": {name: _size(encoder) for name, encoder in encoders.items()},
            "probes": {},
        }
        for probe in probes:
            scores = run_probe(probe, encoders, args.seed)
            some = next(iter(scores.values()))
            results["probes"][probe.name] = {
                "utterances": some.total,
                "classes": some.classes,
                "accuracy": {name: score.accuracy for name, score in scores.items()},
                "interval": {name: score.interval for name, score in scores.items()},
            }
            if len(probes) == len(encoders) == 1:
                results["units"] = some.units
            for name, score in scores.items():
                print(f"{probe.name}: {name} {score.accuracy:.1%} of {score.total}")
        atomic_write(args.output, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
