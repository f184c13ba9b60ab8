"""Norms whose statistics leave out what is not there: closed channels, padded frames."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """True where a position lies inside its item, ``(B, size)``, from lengths ``(B,)``."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def within(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Frames ``(B, L, D)`` with those beyond the first ``lengths`` ``(B,)`` zeroed; None: none."""
    if lengths is None:
        return x
    return x.masked_fill(~length_mask(lengths, x.size(1))[..., None], 0.0)


class OpenLayerNorm(nn.LayerNorm):
    """LayerNorm whose statistics run over the open channels only.

    Slicing the closed channels away then leaves the statistics as they were, which is what makes
    a masked model and the smaller one equal. The mask's value itself multiplies what comes after.
    """

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalise ``(..., C)`` over the channels where ``mask`` ``(C,)`` is above zero."""
        if mask is None:
            return super().forward(x)
        return torch.addcmul(self.bias, _normalise(x, mask > 0, self.eps), self.weight)


class TimeGroupNorm(nn.Module):
    """GroupNorm with one channel per group, over each item's own frames.

    The usual implementation lets the padding of a batch into the statistics, so that an item's
    output depends on its neighbours (pytorch/audio#2242); here it does not.
    """

    eps = 1e-5

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Normalise ``(B, L, C)`` over the first ``lengths`` ``(B,)`` frames; None: over all."""
        x = x.transpose(1, 2)
        if lengths is None:
            y = torch.group_norm(x, x.size(1), self.weight, self.bias, self.eps)
        else:
            y = _normalise(x, length_mask(lengths, x.size(2))[:, None], self.eps)
            y = torch.addcmul(self.bias[:, None], y, self.weight[:, None])
        return y.transpose(1, 2)


def _normalise(x: Tensor, inside: Tensor, eps: float) -> Tensor:
    """Shift and scale ``(..., N)`` by statistics of where ``inside`` is true in the last axis."""
    return _Normalisation.apply(x.float() if x.dtype.itemsize < 4 else x, inside, eps)


class _Normalisation(torch.autograd.Function):
    """Its gradient in one formula, where the chain of operations keeps and passes over six."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, inside: Tensor, eps: float) -> Tensor:
        share = inside.to(x.dtype) / inside.sum(-1, keepdim=True).clamp(min=1)
        y = x - (x * share).sum(-1, keepdim=True)
        scale = torch.rsqrt((y.square() * share).sum(-1, keepdim=True) + eps)
        y *= scale
        ctx.save_for_backward(y, scale, share)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        y, scale, share = ctx.saved_tensors
        total, along = grad.sum(-1, keepdim=True), (grad * y).sum(-1, keepdim=True)
        return (grad - share * torch.addcmul(total, y, along)).mul_(scale), None, None
