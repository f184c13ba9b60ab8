"""Learning rates that ESPnet has no schedule for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler
from espnet2.tasks.abs_task import scheduler_classes
from torch.optim.lr_scheduler import LRScheduler

from espnet_prune.encoder import ConfigError
from espnet_prune.espnet.data_types import enter

_OWN_RATE = "own_rate"


def at_own_rate(groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Optimizer groups marked as gates and multipliers, which a schedule may leave alone."""
    return [{**group, _OWN_RATE: True} for group in groups]


class WarmupLinearDecayLR(LRScheduler, AbsBatchStepScheduler):
    """Each group's own rate, from near 0 linearly to 1 of it, then linearly to 0.

    DPHuBERT's schedule (Peng et al., 2023). A step is one of the optimizer, whatever
    ``accum_grad`` is. Step n of W and T has n / W of the rate up to W, then (T - n) / (T - W).

    Args:
        optimizer: its groups keep the rates they have now as the highest.
        warmup_steps: W, above 0.
        total_steps: T, at which and after which the rate is 0.
        scale_gates: also scale the rates of gates and multipliers (:func:`at_own_rate`), as
            DPHuBERT's code does. Its warm-up is three times as long as the ramp of its target, so
            that gates lag behind; without, they keep their rates.

    Raises:
        ConfigError: no warm-up, or one that is not shorter than the whole.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
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


def register_schedules() -> None:
    """Make ``--scheduler warmuplineardecaylr`` known; calling it again is fine.

    Raises:
        RuntimeError: another package has taken the name.
    """
    enter(scheduler_classes, "warmuplineardecaylr", WarmupLinearDecayLR)
