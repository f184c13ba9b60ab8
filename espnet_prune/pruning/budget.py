"""The size target as a constraint: expected sparsity, its Lagrangian, the target's ramp."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from espnet_prune.pruning.cost import Widths, count_macs, count_params, expected_widths
from espnet_prune.ssl import Masks, SSLConfig

Measure = Literal["params", "macs"]


class Budget(nn.Module):
    """Holds expected sparsity at a target that rises linearly from 0 over ``warmup_steps``.

    The penalty is lambda1 (s - t) + lambda2 (s - t)^2 (Wang et al., 2020; DPHuBERT);
    the multipliers are to be ascended: give their group ``maximize=True``.

    Args:
        config: the dense encoder, which has sparsity 0.
        target: final sparsity t, a fraction.
        warmup_steps: steps of the ramp.
        measure: ``params`` or ``macs``.
        reference_seconds: input length at which MACs are counted.
        tolerance: how far, in absolute sparsity, the result may be from the target.
        lambda2: where the second multiplier starts; the first starts at 0.

    Raises:
        ValueError: the target is not a reachable fraction.
    """

    step: Tensor

    def __init__(
        self,
        config: SSLConfig,
        target: float,
        warmup_steps: int,
        measure: Measure = "params",
        reference_seconds: float = 1.0,
        tolerance: float = 0.005,
        lambda2: float = 0.0,
    ):
        super().__init__()
        if measure not in ("params", "macs"):
            raise ValueError(f"expected a budget on params or macs, found {measure!r}")
        self.config, self.measure, self.seconds = config, measure, reference_seconds
        self.target, self.warmup_steps, self.tolerance = target, warmup_steps, tolerance
        self.dense_cost = float(self.cost(None))
        most = self._highest_sparsity()
        if not 0 < target < most:
            raise ValueError(
                f"expected a target sparsity between 0 and {most:.3f} (what remains when every "
                f"gate is closed is never pruned), found {target}"
            )
        self.lambda1 = nn.Parameter(torch.zeros(()))
        self.lambda2 = nn.Parameter(torch.tensor(float(lambda2)))
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def cost(self, widths: Widths | None):
        """Parameters or MACs at ``widths``; None: of the dense encoder."""
        if self.measure == "params":
            return count_params(self.config, widths).total
        return count_macs(self.config, self.seconds, widths).total

    def sparsity(self, widths: Widths):
        """1 - cost / dense cost; differentiable where the widths are."""
        return 1 - self.cost(widths) / self.dense_cost

    def current_target(self) -> Tensor:
        """The ramp's value at this step, ``()``."""
        return self.target * (self.step / max(1, self.warmup_steps)).clamp(max=1)

    def penalty(self, sparsity: Tensor) -> Tensor:
        """The Lagrangian term of an expected ``sparsity`` ``()``."""
        excess = sparsity - self.current_target()
        return self.lambda1 * excess + self.lambda2 * excess.square()

    def advance(self) -> None:
        """One training step of the ramp is over."""
        self.step += 1

    def _highest_sparsity(self) -> float:
        layers = self.config.layers
        closed = Masks(
            conv=tuple(torch.eye(1, c.channels)[0] for c in self.config.conv_layers),
            head=tuple(torch.zeros(len(layer.heads)) for layer in layers),
            ffn=tuple(torch.zeros(layer.ffn) for layer in layers),
            attention_layer=(None,) * len(layers),
            ffn_layer=(None,) * len(layers),
        )
        return float(self.sparsity(expected_widths(self.config, closed)))
