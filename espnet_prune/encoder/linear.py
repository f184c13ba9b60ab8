"""Linear maps of the Transformer: one matrix, or two thin ones, under masks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

Ranks = tuple[Tensor | None, Tensor | None]
"""What multiplies between the thin maps of a sublayer's input and of its output."""


class Linear(nn.Linear):
    """A linear map; with a ``rank`` the product of two thin ones, ``weight @ inner.weight``.

    Example:
        >>> import torch
        >>> from espnet_prune.encoder.linear import Linear
        >>> thin = Linear(384, 1536, rank=100)
        >>> thin(torch.zeros(2, 384)).shape, thin.whole().shape
        (torch.Size([2, 1536]), torch.Size([1536, 384]))
    """

    def __init__(self, inputs: int, outputs: int, rank: int = 0):
        super().__init__(rank or inputs, outputs)
        self.inner = nn.Linear(inputs, rank, bias=False) if rank else None

    def whole(self) -> Tensor:
        """The one matrix ``(out, in)`` that computes the same."""
        return self.weight if self.inner is None else self.weight @ self.inner.weight

    def full_bias(self) -> Tensor:
        """A bias ``(out,)`` of every output."""
        return self.bias

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        gate: Tensor | None = None,
        ranks: Tensor | None = None,
    ) -> Tensor:
        """Map ``(..., in)`` to ``(..., out)``.

        Args:
            mask: multiplies ``x``, ``(in,)``.
            gate: multiplies the result, ``()``.
            ranks: multiplies what passes between two thin maps, ``(r,)``.
        """
        bias = self.full_bias()
        if gate is not None:
            mask, bias = (gate if mask is None else mask * gate), bias * gate
        if self.inner is not None:
            x, mask = _product(x, self.inner.weight, mask), ranks
        return _product(x, self.weight, mask, bias)


def _product(x: Tensor, weight: Tensor, mask: Tensor | None, bias: Tensor | None = None) -> Tensor:
    """Of masked ``x``; what is smaller, ``x`` or the weights, takes the mask."""
    if mask is not None:
        if x.numel() < weight.numel():
            x = x * mask
        else:
            weight = weight * mask
    return F.linear(x, weight, bias)
