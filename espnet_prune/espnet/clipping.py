"""Gradient clipping to a percentile of the norms so far, instead of a norm chosen in advance."""

from __future__ import annotations

import argparse
import math
from collections import deque
from typing import Any

import numpy as np
import torch
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from espnet_prune.encoder import ConfigError

_KEY = "gradient_norms"


class PercentileClipping:
    """Clips each step of an optimizer to a percentile of the last norms, its own included.

    AutoClip (Seetharaman et al., 2020), with a history that forgets, as in Han et al. (2025)'s
    code. It sees what the optimizer steps with: gradients that are accumulated and unscaled. The
    groups that the optimizer ascends, multipliers of a constraint, are neither measured nor
    clipped. The norms travel in the optimizer's state dict, hence with a checkpoint and not with
    a model.

    Args:
        optimizer: the one whose steps are clipped.
        percentile: above 0, up to 100.
        history: how many norms are remembered.

    Attributes:
        norms: the last ``history`` finite norms, oldest first.

    Raises:
        ConfigError: a percentile or history out of its range.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, percentile: float, history: int):
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
    def _clip(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
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

    def _save(self, _: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        state[_KEY] = list(self.norms)

    def _load(self, _: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        # None where the checkpoint is of a training that did not clip this way.
        self.norms = deque(state.get(_KEY, ()), maxlen=self.norms.maxlen)


def add_clipping_arguments(parser: argparse.ArgumentParser) -> None:
    """``--grad_clip_percentile`` and ``--grad_clip_history``."""
    group = parser.add_argument_group("Percentile gradient clipping")
    group.add_argument(
        "--grad_clip_percentile",
        type=float,
        default=None,
        help="Clip the gradients of each step to this percentile of the last norms; takes the "
        "place of --grad_clip, which must be inf",
    )
    group.add_argument(
        "--grad_clip_history", type=int, default=1000, help="How many norms are remembered"
    )


def clip_as_asked(optimizer: torch.optim.Optimizer, args: argparse.Namespace) -> None:
    """Attach :class:`PercentileClipping` if ``--grad_clip_percentile`` is given.

    Raises:
        ConfigError: ESPnet's own ``--grad_clip`` would clip as well, or a value out of its range.
    """
    if args.grad_clip_percentile is None:
        return
    if args.grad_clip != math.inf:
        raise ConfigError(
            f"expected grad_clip .inf beside grad_clip_percentile, found {args.grad_clip}, so "
            "that both would clip; set grad_clip: .inf or leave grad_clip_percentile out"
        )
    PercentileClipping(optimizer, args.grad_clip_percentile, args.grad_clip_history)
