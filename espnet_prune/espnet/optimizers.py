"""Optimizers of a training: rates of their own for gates, a schedule, clipping to a percentile."""

from __future__ import annotations

import argparse
import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler
from torch import nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from espnet_prune.encoder import ConfigError, Featurizer
from espnet_prune.espnet.objective import EncoderObjective

_OWN_RATE, _NORMS = "own_rate", "gradient_norms"


def parameter_groups(model: nn.Module, ssl_lr: float | None = None) -> list[dict[str, Any]]:
    """Optimizer groups: the model, its encoder at ``ssl_lr``, gates, multipliers."""
    featurizer = next((m for m in model.modules() if isinstance(m, Featurizer)), None)
    objective = next((m for m in model.modules() if isinstance(m, EncoderObjective)), None)
    own: list[dict[str, Any]] = []
    if ssl_lr is not None and featurizer:
        own.append({"params": list(featurizer.encoder.parameters()), "lr": ssl_lr})
    if objective and objective.pruner:
        own += at_own_rate(objective.pruner.parameter_groups())
    taken = {id(parameter) for group in own for parameter in group["params"]}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in taken]
    return [group for group in ({"params": rest}, *own) if group["params"]]


def grouped_optimizers(
    build: Callable[..., list[Optimizer]],
    args: argparse.Namespace,
    model: nn.Module,
    num_optimizers: int = 1,
) -> list[Optimizer]:
    """What a task's own ``build(args, model)`` gives, or one optimizer whose groups have rates.

    Raises:
        ConfigError: groups, beside an option or in a task that cannot have them.
    """
    groups = parameter_groups(model, getattr(args, "ssl_lr", None))
    if len(groups) == 1:
        return build(args, model)
    given = [name for name in ("exclude_weight_decay", "sharded_ddp") if getattr(args, name)]
    if given or num_optimizers != 1:
        raise ConfigError(
            "expected one optimizer beside pruning_conf or ssl_lr, whose parameters have groups "
            f"of their own, found {given[0] if given else f'a task with {num_optimizers}'}; "
            "leave it out"
        )
    from espnet2.tasks.abs_task import optim_classes  # which tells us once it is imported

    return [optim_classes[args.optim](groups, **args.optim_conf)]


def at_own_rate(groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Optimizer groups marked as gates and multipliers, which a schedule may leave alone."""
    return [{**group, _OWN_RATE: True} for group in groups]


class WarmupLinearDecayLR(LRScheduler, AbsBatchStepScheduler):
    """Each group's own rate, from near 0 linearly to 1 of it, then linearly to 0.

    DPHuBERT's schedule (Peng et al., 2023). A step is one of the optimizer, whatever
    ``accum_grad`` is. Step n of W = ``warmup_steps`` and T = ``total_steps`` has n / W of the rate
    up to W, then (T - n) / (T - W). With ``scale_gates`` the rates of gates and multipliers are
    scaled as well, as in DPHuBERT's code: its warm-up is three times as long as the ramp of its
    target, so that gates lag behind.

    Raises:
        ConfigError: no warm-up, or one that is not shorter than the whole.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        warmup_steps: int,
        total_steps: int,
        scale_gates: bool = False,
        last_epoch: int = -1,
    ):
        if not 0 < warmup_steps < total_steps:
            raise ConfigError(
                "expected warmup_steps above 0 and below total_steps, found "
                f"{warmup_steps} and {total_steps}"
            )
        self.warmup_steps, self.total_steps = warmup_steps, total_steps
        self.scale_gates = scale_gates
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates of the step that comes next, one per group."""
        step = self.last_epoch + 1
        rising = step / self.warmup_steps
        falling = (self.total_steps - step) / (self.total_steps - self.warmup_steps)
        share = max(0.0, min(rising, falling))
        return [
            rate * share if self.scale_gates or not group.get(_OWN_RATE) else rate
            for rate, group in zip(self.base_lrs, self.optimizer.param_groups, strict=True)
        ]


class PercentileClipping:
    """Clips each step of an optimizer to a percentile of the last norms, its own included.

    AutoClip (Seetharaman et al., 2020), with a ``history`` of so many ``norms``, as in Han et al.
    (2025)'s code. It sees what the optimizer steps with: gradients that are accumulated and
    unscaled. The groups that the optimizer ascends, multipliers of a constraint, are neither
    measured nor clipped. The norms travel in the optimizer's state dict, hence with a checkpoint
    and not with a model.

    Raises:
        ConfigError: a percentile or history out of its range.
    """

    def __init__(self, optimizer: Optimizer, percentile: float, history: int):
        if not 0 < percentile <= 100 or history < 1:
            raise ConfigError(
                "expected a grad_clip_percentile above 0, up to 100, and a grad_clip_history of 1 "
                f"or more, found {percentile} and {history}"
            )
        self.percentile = percentile
        self.norms: deque[float] = deque(maxlen=history)
        optimizer.register_step_pre_hook(self._clip)
        optimizer.register_state_dict_post_hook(self._save)
        optimizer.register_load_state_dict_pre_hook(self._load)

    @torch.no_grad()
    def _clip(self, optimizer: Optimizer, *_: Any) -> None:
        groups = (group for group in optimizer.param_groups if not group.get("maximize"))
        params = [p for group in groups for p in group["params"] if p.grad is not None]
        norm = get_total_norm([p.grad for p in params])
        # ESPnet has just read this step's norm to test it: nothing is left to wait for here.
        value = float(norm)
        if not math.isfinite(value):
            optimizer.zero_grad()
            return
        self.norms.append(value)
        clip_grads_with_norm_(params, float(np.percentile(self.norms, self.percentile)), norm)

    def _save(self, _: Optimizer, state: dict[str, Any]) -> None:
        state[_NORMS] = list(self.norms)

    def _load(self, _: Optimizer, state: dict[str, Any]) -> None:
        # None where the checkpoint is of a training that did not clip this way.
        self.norms = deque(state.get(_NORMS, ()), maxlen=self.norms.maxlen)


def add_clipping_arguments(parser: argparse.ArgumentParser) -> None:
    """``--grad_clip_percentile`` and ``--grad_clip_history``."""
    group = parser.add_argument_group("Percentile gradient clipping")
    group.add_argument(
        "--grad_clip_percentile",
        type=float,
        help="Clip the gradients of each step to this percentile of the last norms; takes the "
        "place of --grad_clip, which must be inf",
    )
    group.add_argument(
        "--grad_clip_history", type=int, default=1000, help="How many norms are remembered"
    )


def clip_as_asked(optimizer: Optimizer, args: argparse.Namespace) -> None:
    """Attach :class:`PercentileClipping` if ``--grad_clip_percentile`` is given."""
    if args.grad_clip_percentile is None:
        return
    if args.grad_clip != math.inf:
        raise ConfigError(
            f"expected grad_clip .inf beside grad_clip_percentile, found {args.grad_clip}, so "
            "that both would clip; set grad_clip: .inf or leave grad_clip_percentile out"
        )
    PercentileClipping(optimizer, args.grad_clip_percentile, args.grad_clip_history)
