"""ESPnet's own tasks, able to prune: options, gates, groups of parameters, and what can be loaded.

The tasks stay ESPnet's; four of their methods are wrapped, and do what they did unless a front end
is ours or an option of ours is given.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator
from typing import Any

from espnet_prune.espnet.frontend import NAME, PrunedSSLFrontend
from espnet_prune.espnet.objective import (
    OPTIONS,
    add_task_pruning_arguments,
    asked_of,
    join_objective,
)
from espnet_prune.espnet.optimizers import grouped_optimizers
from espnet_prune.storage import CheckpointError

TASK = "pruned_task"
"""The entry of config.yaml that names the task of a training, for ``apply_pruning``."""
_MARK = "_prunable"


def make_prunable(task: Any) -> None:
    """Let an ESPnet ``task`` prune and distil its encoder by its own loss.

    HJ-Pruning (Peng et al., 2023) and self-pinching gates (Xu et al., 2025) train so; with
    ``--distill_conf`` the encoder is drawn to a teacher as well. Classes that inherit from the
    task can do the same.
    """
    for name, wrap in _METHODS.items():
        original = getattr(task, name).__func__
        if not hasattr(original, _MARK):
            wrapped = functools.wraps(original)(wrap(original))
            setattr(wrapped, _MARK, True)
            setattr(task, name, classmethod(wrapped))


def _arguments(original: Callable[..., None]) -> Callable[..., None]:
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        original(cls, parser)
        add_task_pruning_arguments(parser)

    return add_task_arguments


def _model(original: Callable[..., Any]) -> Callable[..., Any]:
    def build_model(cls, args: argparse.Namespace) -> Any:
        for name, conf in front_ends(args):
            if conf.get("model") is not None:  # a training begins with those weights
                setattr(args, name, {k: v for k, v in conf.items() if k != "config"})
        model = original(cls, args)
        configs = {
            part.model: part.ssl_encoder.config.to_dict()
            for part in model.modules()
            if isinstance(part, PrunedSSLFrontend)
        }
        if not configs and not asked_of(args):
            for option in (*OPTIONS, "ssl_lr"):
                vars(args).pop(option, None)  # the config.yaml of other trainings stays ESPnet's
            return model
        # ESPnet writes config.yaml from what is here, next.
        for name, conf in front_ends(args):
            if conf.get("model") is not None:
                setattr(args, name, {**conf, "config": configs[conf["model"]]})
        setattr(args, TASK, f"{cls.__module__}.{cls.__qualname__}")
        return join_objective(model, args)

    return build_model


def _optimizers(original: Callable[..., Any]) -> Callable[..., Any]:
    def build_optimizers(cls, args: argparse.Namespace, model: Any) -> Any:
        build = functools.partial(original, cls)
        return grouped_optimizers(build, args, model, cls.num_optimizers)

    return build_optimizers


def _loading(original: Callable[..., Any]) -> Callable[..., Any]:
    def build_model_from_file(cls, *args: Any, **kwargs: Any) -> Any:
        class Loaded(cls):
            @classmethod
            def build_model(_, args: argparse.Namespace) -> Any:
                _require_applied(args)
                for name, conf in front_ends(args):
                    if conf.get("config") is not None:  # the weights are in the model's file
                        setattr(args, name, {k: v for k, v in conf.items() if k != "model"})
                return cls.build_model(args)

        return original(Loaded, *args, **kwargs)

    return build_model_from_file


_METHODS: dict[str, Callable[..., Any]] = {
    "add_task_arguments": _arguments,
    "build_model": _model,
    "build_optimizers": _optimizers,
    "build_model_from_file": _loading,
}


def front_ends(args: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and value of each option that configures a front end of ours."""
    for name, value in list(vars(args).items()):
        if name.endswith("frontend") and value == NAME:
            yield f"{name}_conf", getattr(args, f"{name}_conf")


def _require_applied(args: argparse.Namespace) -> None:
    if any(getattr(args, option, None) for option in ("pruning_conf", "distill_conf")):
        raise CheckpointError(
            "expected a model by itself, found one that a training with pruning_conf or "
            "distill_conf wrote, gates and all; cut it first: "
            "espnet-prune apply_pruning MODEL_FILE --output FOLDER"
        )
