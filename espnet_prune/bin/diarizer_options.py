"""Options of the commands that diarize, and the diarizer that they describe."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml

from espnet_prune.diarization import DataError
from espnet_prune.diarization.inference_config import InferenceConfig, config_of_release
from espnet_prune.diarization.pipeline import Diarizer, find_pipeline
from espnet_prune.ssl import ConfigError

_SPEAKERS = ("num_speakers", "min_speakers", "max_speakers")


def add_diarizer_options(parser: argparse.ArgumentParser) -> None:
    """Add the model, its configuration, and what replaces single values of that."""
    parser.add_argument(
        "model",
        help="folder of a diarization model or of a DiariZen release, or its id on Hugging Face",
    )
    parser.add_argument(
        "--config", type=Path, help="YAML with keyword arguments of InferenceConfig"
    )
    parser.add_argument("--precision", help="of the encoder, in place of the configuration's")
    parser.add_argument(
        "--device",
        type=_device,
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="cpu, cuda or cuda:N (default: the GPU where there is one)",
    )
    parser.add_argument(
        "--num_speakers", type=int, metavar="N", help="of every recording, where it is known"
    )
    parser.add_argument("--min_speakers", type=int, metavar="N", help="lower bound on them")
    parser.add_argument("--max_speakers", type=int, metavar="N", help="upper bound on them")


def load_diarizer(args: argparse.Namespace) -> Diarizer:
    """The diarizer of a command line.

    Raises:
        DataError: the configuration has an unknown key, or a value that there is not.
        CheckpointError: there is no such model.
    """
    changes: dict[str, Any] = {"precision": args.precision} if args.precision else {}
    speakers = {name: getattr(args, name) for name in _SPEAKERS}
    if any(value is not None for value in speakers.values()):
        changes |= speakers
    path = find_pipeline(args.model)
    config = read_config(args.config, config_of_release(path), **changes)
    return Diarizer.from_pretrained(path, config, args.device)


def read_config(path: Path | None, default: InferenceConfig, **changes: Any) -> InferenceConfig:
    """A configuration with the values of a YAML file, and with changes.

    Raises:
        DataError: the file has an unknown key, or a value is none that there is.
    """
    try:
        values = yaml.safe_load(path.read_text()) or {} if path else {}
        return replace(default, **{**values, **changes})
    except (TypeError, ConfigError) as error:
        where = path or changes
        raise DataError(f"{where}: this is no inference configuration: {error}") from error


def _device(text: str) -> torch.device:
    try:
        device = torch.device(text)
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"expected a device of PyTorch, found {text!r}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise argparse.ArgumentTypeError(f"found no GPU for {text!r}; use cpu")
    return device
