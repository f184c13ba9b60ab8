"""What a model's history tells of the training that it comes from."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from espnet_prune.encoder import SSLEncoder
from espnet_prune.espnet.prunable import front_ends
from espnet_prune.history import Step, new_step, public_name


def remember_training(
    model: nn.Module, task: type, config: Mapping[str, Any], weights: str
) -> None:
    """Add the training of ``config`` to the history of the encoders in a ``model`` of ``task``.

    These start with the history of what they were made from; ``weights`` is the file's name.
    """
    step = _step(task, config, weights)
    for part in model.modules():
        if isinstance(part, SSLEncoder):
            part.history = (*part.history, step)


def _step(task: type, config: Mapping[str, Any], weights: str) -> Step:
    data = config.get("train_data_path_and_name_and_type") or []
    folders = {public_name(Path(entry[0]).parent) for entry in data}
    done = "distilled" if "student" in config else "trained"
    return new_step(
        "pruned" if config.get("pruning_conf") else done,
        task=task.__name__.removeprefix("Pruned").removesuffix("Task"),
        source=public_name(_source(config)),
        teacher=public_name(config.get("teacher")),
        data=sorted(map(str, folders)) or None,
        recipe=config.get("recipe"),
        seed=config.get("seed"),
        epochs=config.get("max_epoch"),
        weights=weights,
    )


def _source(config: Mapping[str, Any]) -> Any:
    """The encoder that a training began with."""
    models = [conf.get("model") for _, conf in front_ends(argparse.Namespace(**config))]
    return next((each for each in (config.get("student"), *models) if each is not None), None)
