"""The convolutional front end: waveform to frames, with a mask on every layer's channels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_prune.ssl.config import ConvLayerConfig, SSLConfig


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """True where a position lies inside its item, ``(B, size)``, from lengths ``(B,)``."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


class OpenLayerNorm(nn.LayerNorm):
    """LayerNorm whose statistics run over the open channels only.

    Slicing the closed channels away then leaves the statistics as they were, which is what makes
    a masked model and the smaller one built from it equal. The mask's value itself multiplies
    after the norm and is the caller's business.
    """

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalise ``(..., C)`` over the channels where ``mask`` ``(C,)`` is above zero."""
        if mask is None:
            return super().forward(x)
        opened = (mask > 0).to(x.dtype)
        count = opened.sum().clamp(min=1)
        centred = x - (x * opened).sum(-1, keepdim=True) / count
        variance = (centred.square() * opened).sum(-1, keepdim=True) / count
        return centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias


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
        if lengths is None:
            variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
            centred = x - mean
        else:
            inside = length_mask(lengths, x.size(1))[..., None].to(x.dtype)
            count = lengths[:, None, None].to(x.dtype)
            centred = x - (x * inside).sum(1, keepdim=True) / count
            variance = (centred.square() * inside).sum(1, keepdim=True) / count
        return centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias


class StridedConv(nn.Module):
    """1-D convolution without padding on channels-last frames, as one matrix product.

    Attributes:
        weight: ``(C, C_in, k)``, as in ``nn.Conv1d``.
    """

    def __init__(self, in_channels: int, shape: ConvLayerConfig, bias: bool):
        super().__init__()
        self.kernel, self.stride = shape.kernel, shape.stride
        self.weight = nn.Parameter(torch.empty(shape.channels, in_channels, shape.kernel))
        self.bias = nn.Parameter(torch.zeros(shape.channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L_in, C_in)`` to ``(B, L, C)``."""
        patches = x.unfold(1, self.kernel, self.stride).transpose(2, 3).flatten(2)  # B, L, k C_in
        return F.linear(patches, self.weight.transpose(1, 2).flatten(1), self.bias)


class ConvLayer(nn.Module):
    """Convolution, norm, GELU, mask."""

    def __init__(self, in_channels: int, shape: ConvLayerConfig, norm: str | None, bias: bool):
        super().__init__()
        self.conv = StridedConv(in_channels, shape, bias)
        self.norm: nn.Module | None = None
        if norm == "layer":
            self.norm = OpenLayerNorm(shape.channels)
        elif norm == "group":
            self.norm = TimeGroupNorm(shape.channels)

    def forward(
        self, x: Tensor, lengths: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """``(B, L_in, C_in)`` and lengths ``(B,)`` to ``(B, L, C)`` and its lengths."""
        x = self.conv(x)
        if lengths is not None:
            kernel, stride = self.conv.kernel, self.conv.stride
            lengths = (lengths - kernel).div(stride, rounding_mode="floor") + 1
        if isinstance(self.norm, OpenLayerNorm):
            x = self.norm(x, mask)
        elif self.norm is not None:
            x = self.norm(x, lengths)
        x = F.gelu(x)
        return (x if mask is None else x * mask), lengths


class FrontEnd(nn.Module):
    """Seven convolutions and the projection to the Transformer's width.

    The last convolution's mask multiplies after the projection's LayerNorm, whose statistics run
    over the open channels.
    """

    def __init__(self, config: SSLConfig):
        super().__init__()
        layers = []
        channels = 1
        for index, shape in enumerate(config.conv_layers):
            norm = "layer" if config.conv_norm == "layer" else "group" if index == 0 else None
            layers.append(ConvLayer(channels, shape, norm, config.conv_bias))
            channels = shape.channels
        self.conv_layers = nn.ModuleList(layers)
        self.scale: Tensor | None
        self.register_buffer("scale", torch.ones(channels) if config.channel_scale else None)
        self.norm = OpenLayerNorm(channels)
        self.projection = nn.Linear(channels, config.embed_dim)
        self.dropout = nn.Dropout(config.projection_dropout)

    def forward(
        self, wavs: Tensor, lengths: Tensor | None, masks: tuple[Tensor | None, ...]
    ) -> tuple[Tensor, Tensor | None]:
        """Waveforms ``(B, T)`` and lengths ``(B,)`` to frames ``(B, L, D)`` and their lengths."""
        x = wavs[..., None]
        *inner, last = masks
        for layer, mask in zip(self.conv_layers[:-1], inner, strict=True):
            x, lengths = layer(x, lengths, mask)
        x, lengths = self._last(x, lengths, last)
        x = self.norm(x if self.scale is None else x * self.scale, last)
        x = x if last is None else x * last
        return self.dropout(self.projection(x)), lengths

    def _last(self, x: Tensor, lengths: Tensor | None, mask: Tensor | None):
        # Only the norm of the last convolution needs its mask here: the values multiply later.
        opened = None if mask is None else (mask > 0).to(x.dtype)
        return self.conv_layers[-1](x, lengths, opened)
