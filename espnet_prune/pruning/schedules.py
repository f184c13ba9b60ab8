"""How the target of a budget rises, and what a run of so many steps needs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SCHEDULES: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda share: share,
    # Zhu & Gupta (2017), equation 1: fast while there is much to close, slow near the end.
    "cubic": lambda share: 1 - (1 - share) ** 3,
    "cosine": lambda share: (1 - torch.cos(torch.pi * share)) / 2,
    "one_shot": torch.ones_like,
}
"""The share of the target, by the share of the ramp that is over, both ``()``, in [0, 1]."""

# Of DPHuBERT, for some ten thousand steps and more.
LEAST_RATE = 2e-2
# Above it, single steps of Adam open and close units.
_MOST_RATE = 0.5
# What brings 340 steps to their target, at any number of steps: the multipliers' rate, and the
# quadratic term, without which the linear one winds up during the ramp and overshoots.
_MULTIPLIERS, _QUADRATIC = 35.0, 1e5


def rates(steps: int, travel: float) -> dict[str, float]:
    """``gate_lr``, ``multiplier_lr`` and ``lambda2`` for a run of ``steps`` optimizer steps.

    Adam moves a parameter by at most its rate per step: ``travel`` is the sum of the gates' rates.
    """
    gate, multiplier = (
        min(_MOST_RATE, max(LEAST_RATE, total / steps)) for total in (travel, _MULTIPLIERS)
    )
    return {"gate_lr": gate, "multiplier_lr": multiplier, "lambda2": _QUADRATIC / steps}
