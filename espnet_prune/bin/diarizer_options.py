"""What the commands that diarize share: options, and the diarizer that they describe."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet_prune.bin.numbers import amount, positive
from espnet_prune.encoder.typed import read_typed
from espnet_prune.inference.names import AUTO, DTYPES
from espnet_prune.storage.config_files import read_yaml
from espnet_prune.storage.embedded import DIARIZER

# What is imported within functions brings torch: --help does without.
if TYPE_CHECKING:
    from espnet_prune.diarization.inference_config import InferenceConfig
    from espnet_prune.diarization.pipeline import Diarizer

# Any of these replaces all of them; those below replace their own values.
_SPEAKERS = ("num_speakers", "min_speakers", "max_speakers")
_SINGLY = ("precision", "exclusive", "min_duration", "min_gap")


def add_diarizer_options(parser: ArgumentParser) -> None:
    """Add the model, its configuration, and what replaces single values of that."""
    add = parser.add_argument
    help_ = (
        "folder of a diarization model or DiariZen release, or id on Hugging Face (default, and "
        f"{DIARIZER} by name: the model that comes with this package)"
    )
    add("model", nargs="?", default=DIARIZER, help=help_)
    add_config_option(parser)
    add("--precision", choices=DTYPES, help="of the encoder, not the configuration's")
    help_ = "cpu, cuda, cuda:N, mps or xpu; auto (default) is the first accelerator there, or cpu"
    add("--device", default=AUTO, help=help_)
    add("--num_speakers", type=positive, metavar="N", help="of every recording, where it is known")
    add("--min_speakers", type=positive, metavar="N", help="lower bound on them")
    add("--max_speakers", type=positive, metavar="N", help="upper bound on them")
    add("--exclusive", action="store_true", default=None, help="one speaker at a time, no overlap")
    add("--min_duration", type=amount, metavar="S", help="leave out turns shorter than S seconds")
    add("--min_gap", type=amount, metavar="S", help="fill gaps of a speaker shorter than S seconds")


def add_config_option(parser: ArgumentParser) -> None:
    """Add ``--config``, the file that :func:`read_config` reads."""
    help_ = "YAML with keyword arguments of InferenceConfig"
    parser.add_argument("--config", type=Path, help=help_)


def load_diarizer(args: Namespace) -> Diarizer:
    """The diarizer of a command line.

    Raises:
        ConfigError: this machine has no such device, or as :func:`find_diarizer`.
        CheckpointError: there is no such model.
    """
    from espnet_prune.diarization.pipeline import Diarizer
    from espnet_prune.inference import usable_device

    device = usable_device(args.device)  # before weights are read
    return Diarizer.from_pretrained(*find_diarizer(args), device)


def find_diarizer(args: Namespace) -> tuple[Path, InferenceConfig]:
    """Where the model of a command line is, and its configuration; no weights are read.

    Raises:
        ConfigError: the configuration has an unknown key, or a value that there is not.
        CheckpointError: there is no such model.
    """
    from espnet_prune.diarization.inference_config import config_of_release
    from espnet_prune.diarization.pipeline import find_pipeline

    changes = {name: getattr(args, name) for name in _SPEAKERS}
    if all(number is None for number in changes.values()):
        changes = {}
    singly = ((name, getattr(args, name)) for name in _SINGLY)
    changes |= {name: value for name, value in singly if value is not None}
    path = find_pipeline(args.model)
    return path, read_config(args.config, config_of_release(path), **changes)


def read_config(path: Path | None, default: InferenceConfig, **changes: Any) -> InferenceConfig:
    """A configuration with the values of a YAML file, and with changes.

    Raises:
        ConfigError: the file has an unknown key, or a value is none that there is.
    """
    from espnet_prune.diarization.inference_config import InferenceConfig

    values = vars(default) | (read_yaml(path) if path else {}) | changes
    return read_typed(InferenceConfig, values, path or "inference configuration")
