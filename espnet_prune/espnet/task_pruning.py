"""Pruning by a task's own loss, for any of ESPnet's tasks: a mixin over the task's class."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from espnet2.tasks.abs_task import optim_classes
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from espnet2.utils.nested_dict_action import NestedDictAction

from espnet_prune.encoder import ConfigError, SSLEncoder
from espnet_prune.espnet.frontend import PrunedSSLFrontend
from espnet_prune.espnet.guarded_task import GuardedTask
from espnet_prune.espnet.objective import EncoderObjective, build_distillation, build_pruner
from espnet_prune.espnet.schedules import at_own_rate
from espnet_prune.espnet.teacher import Teacher
from espnet_prune.inference import PRECISIONS


class TaskPruning(GuardedTask):
    """Prunes the SSL encoder of an ESPnet task while the task trains it, by the task's own loss.

    HJ-Pruning (Peng et al., 2023) and self-pinching gates (Xu et al., 2025) train so; with
    ``--distill_conf`` the encoder is drawn to a teacher as well. To be inherited from before the
    task. Without an option of :func:`add_pruning_arguments` the training is the task's own.
    """

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The task's own, and those of pruning."""
        super().add_task_arguments(parser)
        add_pruning_arguments(parser)

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> AbsESPnetModel:
        """The task's own model, with gates and teacher in its front end if asked for.

        Raises:
            ConfigError: another front end, or options that do not fit together.
        """
        model = super().build_model(args)
        frontend = getattr(model, "frontend", None)
        asked = [name for name in PRUNING_OPTIONS if getattr(args, name)]
        if not asked:
            return model
        if not isinstance(frontend, PrunedSSLFrontend):
            raise ConfigError(
                f"expected frontend: pruned_ssl for {', '.join(asked)}, found "
                f"{args.frontend}; set it, with frontend_conf: model"
            )
        if bool(args.distill_conf) != bool(args.teacher):
            raise ConfigError(
                "expected distill_conf and teacher together, found one alone; give both or none"
            )
        if args.pruning_conf or args.distill_conf:
            frontend.objective = _build_objective(args, frontend.ssl_encoder)
            model.register_forward_hook(_add_objective)
        return model

    @classmethod
    def build_optimizers(
        cls, args: argparse.Namespace, model: torch.nn.Module
    ) -> list[torch.optim.Optimizer]:
        """The task's own, or one whose groups have rates of their own; clipped as asked."""
        groups = parameter_groups(model, args.ssl_lr)
        if len(groups) == 1:
            optimizers = super().build_optimizers(args, model)
        else:
            _refuse(args, "exclude_weight_decay", "sharded_ddp")
            optimizers = [optim_classes[args.optim](groups, **args.optim_conf)]
        cls.settle_optimizers(args, optimizers)
        return optimizers


PRUNING_OPTIONS = ("pruning_conf", "distill_conf", "teacher", "ssl_lr")


def add_pruning_arguments(parser: argparse.ArgumentParser) -> None:
    """``--pruning_conf``, ``--distill_conf``, ``--teacher`` and ``--ssl_lr``."""
    group = parser.add_argument_group("Pruning of the SSL encoder")
    group.add_argument(
        "--pruning_conf",
        action=NestedDictAction,
        default={},
        help="Keyword arguments of PruningConfig: gate, units, budget, target, warmup_steps, ...; "
        "empty: no pruning",
    )
    group.add_argument(
        "--distill_conf",
        action=NestedDictAction,
        default={},
        help="Keyword arguments of LayerwiseDistillation: layers, l1_weight, cosine_weight, "
        "projection_groups; empty: the task's loss alone",
    )
    group.add_argument("--teacher", help="Folder of the encoder to be distilled from")
    group.add_argument(
        "--teacher_precision",
        choices=PRECISIONS,
        default="float32",
        help="What the teacher computes in; bfloat16 is faster and less exact",
    )
    group.add_argument(
        "--ssl_lr",
        type=float,
        help="Learning rate of the SSL encoder; default: that of the rest of the model",
    )


def parameter_groups(model: torch.nn.Module, ssl_lr: float | None) -> list[dict[str, Any]]:
    """Optimizer groups: the model, its encoder at ``ssl_lr``, gates, multipliers."""
    frontend = getattr(model, "frontend", None)
    objective = getattr(frontend, "objective", None)
    pruner = objective.pruner if objective else None
    gates = at_own_rate(pruner.parameter_groups()) if pruner else []
    own = [{"params": list(frontend.ssl_encoder.parameters()), "lr": ssl_lr}] if ssl_lr else []
    own += gates
    taken = {id(parameter) for group in own for parameter in group["params"]}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in taken]
    return [group for group in ({"params": rest}, *own) if group["params"]]


def _build_objective(args: argparse.Namespace, encoder: SSLEncoder) -> EncoderObjective:
    pruner = build_pruner(encoder, args.pruning_conf, args.accum_grad)
    if not args.distill_conf:
        return EncoderObjective(pruner)
    return EncoderObjective(
        pruner,
        build_distillation(encoder, args.distill_conf),
        Teacher(SSLEncoder.from_pretrained(args.teacher), args.teacher_precision),
    )


def _add_objective(model: torch.nn.Module, _: Any, output: Any) -> Any:
    """Forward hook of an ESPnet model: (loss, stats, weight), and what the encoder has to pay."""
    loss, stats, weight = output
    frontend = model.frontend
    loss, more = frontend.objective.add_to(loss, frontend.ssl_encoder)
    return loss, {**stats, **force_gatherable(more, loss.device)}, weight


def _refuse(args: argparse.Namespace, *options: str) -> None:
    for option in options:
        if getattr(args, option, False):
            raise ConfigError(
                f"expected {option} false beside pruning_conf or ssl_lr, whose parameters have "
                "groups of their own, found true; leave it out"
            )
