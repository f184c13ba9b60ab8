"""A target as a constraint: sparsity, its Lagrangian, the target's ramp."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from espnet_prune.pruning.schedules import SCHEDULES


class Budget(nn.Module):
    """Holds a sparsity at a target that rises from 0 over ``warmup_steps``.

    The penalty is lambda1 (s - t) + lambda2 (s - t)^2 (Wang et al., 2020; DPHuBERT);
    the multipliers are to be ascended: give their group ``maximize=True``. With ``at_most`` the
    target is a bound (Bertsekas, 1982): lambda1 stays below 0, so that it never asks for more.

    Args:
        dense_cost: at sparsity 0, in parameters or MACs.
        least_cost: what remains when every gate is closed.
        target: final sparsity t, a fraction that is reachable, or a ValueError.
        warmup_steps: of :meth:`advance`, until the target is reached.
        lambda2: where the second multiplier starts; the first starts at 0.
        at_most: whether more sparsity than the target will do; then it may be 0 or less.
        schedule: how the target rises, of :data:`.SCHEDULES`.

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
        at_most: bool = False,
        schedule: str = "linear",
    ):
        super().__init__()
        self.dense_cost, self.target, self.warmup_steps = dense_cost, target, warmup_steps
        self.at_most, self.share = at_most, SCHEDULES[schedule]
        most = float(self.sparsity(least_cost))
        if not (target > 0 or at_most) or not target < most:
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
        return self.target * self.share((self.step / max(1, self.warmup_steps)).clamp(max=1))

    def excess(self, sparsity: Any) -> Any:
        """How far a ``sparsity`` ``()`` is above the target of this step."""
        return sparsity - self.current_target()

    def penalty(self, sparsity: Tensor, tightest: bool = True) -> Tensor:
        """The Lagrangian term of a ``sparsity`` ``()``; ``tightest`` of several draws both ways."""
        excess = self.excess(sparsity)
        if self.at_most:
            with torch.no_grad():
                self.lambda1.clamp_(max=0)
        quadratic = excess if tightest else excess.clamp(max=0)
        return self.lambda1 * excess + self.lambda2 * quadratic.square()

    def advance(self) -> None:
        """One training step of the ramp is over."""
        self.step += 1
