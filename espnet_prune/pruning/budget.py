"""A target as a constraint: sparsity, its Lagrangian, the target's ramp."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Held(NamedTuple):
    """What a budget limits: a cost of :data:`.MEASURES`, and its parts with their own targets."""

    measure: str
    parts: tuple[str, ...]


BUDGETS = {
    "params": Held("params", ("total",)),
    "separate": Held("params", ("front_end", "transformer")),
    "macs": Held("macs", ("total",)),
}
"""Budgets by name (HJ-Pruning-Size, -SepSize, -MAC of Peng et al., 2023); a new one is a line."""


class Budget(nn.Module):
    """Holds a sparsity at a target that rises linearly from 0 over ``warmup_steps``.

    The penalty is lambda1 (s - t) + lambda2 (s - t)^2 (Wang et al., 2020; DPHuBERT);
    the multipliers are to be ascended: give their group ``maximize=True``.

    Args:
        dense_cost: at sparsity 0, in parameters or MACs.
        least_cost: what remains when every gate is closed.
        target: final sparsity t, a fraction that is reachable, or a ValueError.
        lambda2: where the second multiplier starts; the first starts at 0.

    Example:
        >>> from espnet_prune.pruning import Budget
        >>> budget = Budget(dense_cost=100, least_cost=10, target=0.5, warmup_steps=2)
        >>> budget.advance()  # half of the ramp
        >>> float(budget.current_target()), budget.sparsity(75)
        (0.25, 0.25)
    """

    step: Tensor

    def __init__(
        self,
        dense_cost: float,
        least_cost: float,
        target: float,
        warmup_steps: int,
        lambda2: float = 0.0,
    ):
        super().__init__()
        self.dense_cost, self.target, self.warmup_steps = dense_cost, target, warmup_steps
        most = float(self.sparsity(least_cost))
        if not 0 < target < most:
            raise ValueError(
                f"expected a target sparsity between 0 and {most:.3f} (what remains when every "
                f"gate is closed is never pruned), found {target}"
            )
        self.lambda1 = nn.Parameter(torch.zeros(()))
        self.lambda2 = nn.Parameter(torch.tensor(float(lambda2)))
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def sparsity(self, cost: Any) -> Any:
        """1 - cost / dense cost; differentiable where the cost is."""
        return 1 - cost / self.dense_cost

    def current_target(self) -> Tensor:
        """The ramp's value at this step, ``()``."""
        return self.target * (self.step / max(1, self.warmup_steps)).clamp(max=1)

    def penalty(self, sparsity: Tensor) -> Tensor:
        """The Lagrangian term of a ``sparsity`` ``()``."""
        excess = sparsity - self.current_target()
        return self.lambda1 * excess + self.lambda2 * excess.square()

    def advance(self) -> None:
        """One training step of the ramp is over."""
        self.step += 1
