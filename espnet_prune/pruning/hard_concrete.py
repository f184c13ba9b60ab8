"""The hard-concrete gate: a differentiable stand-in for counting open units."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class HardConcrete(nn.Module):
    """A vector of gates with exact zeros and ones (Louizos et al., 2018).

    A gate z = clamp(s (r - l) + l, 0, 1) with s a stretched binary concrete variable of location
    log alpha and temperature 2/3, l = -0.1 and r = 1.1.

    Args:
        size: number of gates n.
        drop_rate: initial probability that a gate's concrete variable is off, in (0, 1).

    Example:
        >>> from espnet_prune.pruning import HardConcrete
        >>> gates = HardConcrete(size=8, drop_rate=0.9)
        >>> gates.sample().shape
        torch.Size([8])
        >>> int((gates.mask() > 0).sum())
        3
    """

    temperature, low, high, epsilon = 2 / 3, -0.1, 1.1, 1e-6
    # FLOP's empirical scale of log alpha for the deterministic value (Wang et al., 2020).
    sharpness = 0.8

    def __init__(self, size: int, drop_rate: float):
        super().__init__()
        if not 0 < drop_rate < 1:
            raise ValueError(f"expected a drop rate between 0 and 1, found {drop_rate}")
        mean = math.log((1 - drop_rate) / drop_rate)
        self.log_alpha = nn.Parameter(torch.empty(size).normal_(mean, 0.01))

    def sample(self) -> Tensor:
        """Random gate values ``(n,)``, differentiable in log alpha."""
        noise = torch.rand_like(self.log_alpha).clamp(self.epsilon, 1 - self.epsilon)
        logits = torch.logit(noise) + self.log_alpha
        stretched = torch.sigmoid(logits / self.temperature) * (self.high - self.low) + self.low
        return stretched.clamp(0, 1)

    def open_probability(self) -> Tensor:
        """P(z > 0) per gate, ``(n,)``."""
        return torch.sigmoid(self.log_alpha - self.temperature * math.log(-self.low / self.high))

    def open_value(self) -> Tensor:
        """What each gate multiplies by in evaluation if it stays open, ``(n,)``."""
        return torch.sigmoid(self.sharpness * self.log_alpha / self.temperature)

    def mask(self) -> Tensor:
        """The gates of evaluation ``(n,)``: as many zeros as expected, open values elsewhere.

        A pure function of log alpha; nothing is cached.
        """
        soft = self.open_value()
        closed = int((1 - self.open_probability()).sum().round())
        order = torch.argsort(soft, stable=True)
        return soft.index_fill(0, order[:closed], 0.0)
