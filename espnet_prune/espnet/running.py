"""A running training is resumed as what it is: its checkpoint remembers what was asked for."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from espnet_prune.encoder import ConfigError
from espnet_prune.encoder.typed import shortened, shown
from espnet_prune.formats.pickles import REPORTED, load_pickle

_KEY = "options"
# What changes neither the numbers of a training nor which of its epochs are kept.
_MAY_CHANGE = (
    "config", "recipe", "print_config", "log_level", "dry_run", "output_dir", "resume", "version",
    "required", "ngpu", "num_workers", "num_att_plot", "max_epoch", "patience", "log_interval",
    "detect_anomaly", "distributed", "local_rank", "multiprocessing_distributed",
    "unused_parameters", "gradient_as_bucket_view", "ddp_comm_hook", "use_matplotlib",
    "use_tensorboard", "create_graph_in_tensorboard", "use_wandb", "wandb_project", "wandb_id",
    "wandb_entity", "wandb_name", "wandb_model_log_interval", "max_cache_size", "max_cache_fd",
    "valid_max_cache_size", "teacher_cache",
)  # fmt: skip


def remember_options(args: argparse.Namespace, optimizer: torch.optim.Optimizer) -> None:
    """Let ``args`` travel in the optimizer's state dict, hence with a checkpoint."""
    options = _lasting(args)
    optimizer.register_state_dict_post_hook(lambda _, state: state.update({_KEY: options}))


def require_same_options(args: argparse.Namespace) -> None:
    """Refuse to resume a training with options other than those it runs with.

    The ConfigError names each option that differs, with both values.
    """
    checkpoint = Path(args.output_dir) / "checkpoint.pth"
    if not args.resume or not checkpoint.exists():
        return
    states = load_pickle(checkpoint, also=REPORTED)
    try:
        running = states["optimizers"][0].get(_KEY)
    except (KeyError, TypeError, IndexError, AttributeError):
        running = None  # what the trainer will say of it is better
    # None in checkpoints of former versions.
    if changed := list(_differences("", running or {}, _lasting(args))):
        raise ConfigError(
            f"{checkpoint}: expected the options of the training that it resumes, found "
            f"{shortened(changed)}; give the former values, or another output_dir"
        )


def _lasting(args: argparse.Namespace) -> dict[str, Any]:
    options = {key: value for key, value in vars(args).items() if key not in _MAY_CHANGE}
    return {key: _plain(value) for key, value in options.items() if not key.startswith("dist_")}


def _plain(value: Any) -> Any:
    """``value`` as YAML would give it back."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _differences(path: str, running: Mapping, asked: Mapping) -> Iterator[str]:
    for key in running.keys() | asked.keys() if path else running.keys() & asked.keys():
        name = f"{path}.{key}" if path else key
        old, new = running.get(key), asked.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(name, old, new)
        elif old != new and not (
            isinstance(old, str)
            and isinstance(new, str)
            and os.path.realpath(old) == os.path.realpath(new)
        ):
            yield f"{name} {shown(new)} instead of {shown(old)}"
