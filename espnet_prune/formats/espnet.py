"""Read what ESPnet trained: its config.yaml and one of its ``*.pth`` files, strictly."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from espnet_prune.encoder import ConfigError
from espnet_prune.formats.pickles import load_state
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.checkpoint import load_strictly
from espnet_prune.storage.config_files import read_yaml

if TYPE_CHECKING:
    from espnet2.tasks.abs_task import AbsTask

CONFIG = "config.yaml"


def load_trained(task: type[AbsTask], model_file: Path) -> torch.nn.Module:
    """The model of ``task`` that ``model_file`` holds, in eval mode; its config lies beside it.

    Raises:
        CheckpointError: a file is missing, damaged, not finite or of another task.
    """
    config = read_config(model_file)
    state = load_state(model_file)
    try:
        model = task.build_model(argparse.Namespace(**config))
    except ConfigError:
        raise
    except Exception as error:  # ESPnet's classes raise anything, typeguard's own among them
        finding = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{model_file.with_name(CONFIG)}: expected the configuration of a {task.__name__}, "
            f"found that of another task or a damaged one ({type(error).__name__}: {finding})"
        ) from error
    load_strictly(model, state, model_file)
    return model.eval()


def read_config(model_file: Path) -> dict[str, Any]:
    """The options of the training that wrote ``model_file``, from the config.yaml beside it."""
    try:
        return read_yaml(model_file.with_name(CONFIG))
    except ConfigError as error:
        raise CheckpointError(
            f"{error}; expected the config.yaml that a training wrote beside its weights"
        ) from error
