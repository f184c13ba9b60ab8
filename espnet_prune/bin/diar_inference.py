"""Diarize every recording of a data directory with a trained model; writes an RTTM file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from espnet_prune.bin.errors import explained
from espnet_prune.diarization import DataError, read_data_dir, write_rttm
from espnet_prune.diarization.pipeline import Diarizer, InferenceConfig
from espnet_prune.progress import progress
from espnet_prune.ssl import ConfigError


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="folder of a diarization model")
    parser.add_argument("data_dir", type=Path, help="directory with wav.scp")
    parser.add_argument("--output", type=Path, required=True, help="RTTM file to write")
    parser.add_argument(
        "--config", type=Path, help="YAML with keyword arguments of InferenceConfig"
    )
    parser.add_argument("--precision", help="of the encoder, in place of the configuration's")
    return parser


def read_config(path: Path | None, **changes: Any) -> InferenceConfig:
    """The inference configuration of a YAML file, with changes.

    Raises:
        DataError: the file has an unknown key, or a value is none that there is.
    """
    try:
        values = yaml.safe_load(path.read_text()) or {} if path else {}
        return InferenceConfig(**{**values, **changes})
    except (TypeError, ConfigError) as error:
        where = path or changes
        raise DataError(f"{where}: this is no inference configuration: {error}") from error


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("diar_inference"):
        changes = {"precision": args.precision} if args.precision else {}
        config = read_config(args.config, **changes)
        diarizer = Diarizer.from_pretrained(args.model, config)
        wavs = read_data_dir(args.data_dir).wavs
        turns = {
            recording: diarizer.diarize(path, recording)
            for recording, path in progress(wavs.items(), "diarize", len(wavs))
        }
        write_rttm(args.output, turns)


if __name__ == "__main__":
    main()
