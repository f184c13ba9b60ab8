"""Options of the commands that diarize, and the diarizer that they describe."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from espnet_prune.diarization.inference_config import InferenceConfig, config_of_release
from espnet_prune.diarization.pipeline import Diarizer, find_pipeline
from espnet_prune.ssl.config_files import read_yaml
from espnet_prune.ssl.typed import read_typed

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
        ConfigError: the configuration has an unknown key, or a value that there is not.
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
        ConfigError: the file has an unknown key, or a value is none that there is.
    """
    values = read_yaml(path) if path else {}
    own = {field.name: getattr(default, field.name) for field in fields(default)}
    return read_typed(InferenceConfig, own | values | changes, path or "inference configuration")


def _device(text: str) -> torch.device:
    try:
        device = torch.device(text)
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"expected a device of PyTorch, found {text!r}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise argparse.ArgumentTypeError(f"found no GPU for {text!r}; use cpu")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise argparse.ArgumentTypeError(f"found no device {text!r} here; use cpu") from error
    if device.type == "meta":
        raise argparse.ArgumentTypeError("expected a device that computes, found 'meta'; use cpu")
    return device
