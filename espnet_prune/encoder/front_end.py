"""The convolutional front end: waveform to frames, with a mask on every layer's channels.

A mask on the channels of one layer multiplies the weights of the next, not its input: the same
product, for the cost of the weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_prune.encoder.config import ConvLayerConfig, SSLConfig
from espnet_prune.encoder.linear import Linear
from espnet_prune.encoder.norm import OpenLayerNorm, TimeGroupNorm

STRETCH = 32000
"""Samples, over all items, that inference forms convolve together on a CPU, for its cache."""


def pad_to_one_frame(wavs: Tensor, lengths: Tensor, config: SSLConfig) -> tuple[Tensor, Tensor]:
    """Waveforms ``(B, T)`` and samples ``(B,)``, with zeros after what is shorter than a frame."""
    missing = max(0, config.shortest - wavs.size(1))
    return F.pad(wavs, (0, missing)), lengths.clamp(min=config.shortest)


class StridedConv(nn.Module):
    """1-D convolution on channels-last frames, between ``padding`` zeros at both ends."""

    def __init__(self, in_channels: int, shape: ConvLayerConfig, bias: bool, padding: int = 0):
        super().__init__()
        self.kernel, self.stride, self.padding = shape.kernel, shape.stride, padding
        self.weight = nn.Parameter(torch.empty(shape.channels, in_channels, shape.kernel))
        self.bias = nn.Parameter(torch.zeros(shape.channels)) if bias else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """``(B, L_in, C_in)``, whose channels ``mask`` ``(C_in,)`` multiplies, to ``(B, L, C)``."""
        weight = self.weight if mask is None else self.weight * mask[:, None]
        # Newer exporters take the transpose of a single channel for a channels-last tensor, and
        # then insist on batches of more than one.
        x = x[:, None, :, 0] if x.size(2) == 1 else x.transpose(1, 2)
        return F.conv1d(x, weight, self.bias, self.stride, self.padding).transpose(1, 2)


class ConvLayer(nn.Module):
    """Convolution, norm, GELU."""

    def __init__(
        self,
        in_channels: int,
        shape: ConvLayerConfig,
        norm: str | None,
        bias: bool,
        padding: int = 0,
    ):
        super().__init__()
        self.conv = StridedConv(in_channels, shape, bias, padding)
        norms = {"layer": OpenLayerNorm, "group": TimeGroupNorm}
        self.norm = norms[norm](shape.channels) if norm else None

    def forward(
        self, x: Tensor, lengths: Tensor | None, before: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Frames ``(B, L_in, C_in)`` and their lengths ``(B,)`` to ``(B, L, C)`` and lengths.

        ``before`` ``(C_in,)`` is the mask of the layer before, which multiplies ``x``; the closed
        channels of the layer's own ``mask`` ``(C,)`` stay out of its LayerNorm.
        """
        x = self.conv(x, before)
        if lengths is not None:
            kernel, stride = self.conv.kernel, self.conv.stride
            lengths = (lengths - kernel).div(stride, rounding_mode="floor") + 1
        if isinstance(self.norm, OpenLayerNorm):
            x = self.norm(x, mask)
        elif self.norm is not None:
            x = self.norm(x, lengths)
        return F.gelu(x), lengths


class FrontEnd(nn.Module):
    """Seven convolutions and the projection to the Transformer's width.

    The last convolution's mask multiplies the projection's input, after its LayerNorm.
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
        self.projection = Linear(channels, config.embed_dim)
        self.dropout = nn.Dropout(config.projection_dropout)

    def forward(
        self, wavs: Tensor, lengths: Tensor | None, masks: tuple[Tensor | None, ...]
    ) -> tuple[Tensor, Tensor | None]:
        """Waveforms ``(B, T)`` and lengths ``(B,)`` to frames ``(B, L, D)`` and their lengths."""
        x = wavs[..., None]
        mask: Tensor | None = None
        for layer, own in zip(self.conv_layers, masks, strict=True):
            x, lengths = layer(x, lengths, mask, own)
            mask = own
        x = self.norm(x if self.scale is None else x * self.scale, mask)
        return self.dropout(self.projection(x, mask)), lengths
