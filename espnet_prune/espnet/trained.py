"""Read what ESPnet trained: its config.yaml and one of its ``*.pth`` files, strictly."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import torch
import yaml
from espnet2.tasks.abs_task import AbsTask

from espnet_prune.ssl.checkpoint import load_strictly
from espnet_prune.ssl.safetensors import CheckpointError


def load_trained(task: type[AbsTask], model_file: Path) -> torch.nn.Module:
    """The model of ``task`` that ``model_file`` holds, in eval mode; its config lies beside it.

    Raises:
        CheckpointError: a file is missing, truncated or of another task.
    """
    config_file = model_file.parent / "config.yaml"
    try:
        args = argparse.Namespace(**yaml.safe_load(config_file.read_text(encoding="utf-8")))
        state = torch.load(model_file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"expected a trained model, found none: {error}") from error
    except (RuntimeError, EOFError, TypeError, pickle.UnpicklingError, yaml.YAMLError) as error:
        raise CheckpointError(
            f"{model_file}: expected weights that ESPnet wrote and its config.yaml, found a "
            f"truncated or foreign file; train again ({error})"
        ) from error
    try:
        model = task.build_model(args)
    except AttributeError as error:
        raise CheckpointError(
            f"{config_file}: expected the configuration of a {task.__name__}, found that of "
            f"another task ({error})"
        ) from error
    load_strictly(model, state, model_file)
    return model.eval()
