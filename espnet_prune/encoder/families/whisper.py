"""Whisper's encoder (Radford et al., 2023): log-mel features, two convolutions, sinusoids."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_prune.encoder.config import ConvLayerConfig, SSLConfig, dense_layers
from espnet_prune.encoder.families.base import Family
from espnet_prune.encoder.front_end import ConvLayer, StridedConv
from espnet_prune.encoder.log_mel import BINS, HOP, SAMPLE_RATE, WINDOW, LogMel
from espnet_prune.encoder.norm import within

POSITIONS = 1500
"""Frames of 30 s, of which Whisper's files hold the positions."""
_KERNEL, _STRIDE = 3, 2  # of both convolutions, and of the second
_FIXED: dict[str, Any] = {
    "conv_norm": "none",
    "conv_bias": True,
    "norm_first": True,
    "pos_conv_kernel": 0,
    "normalize_waveform": False,
    "channel_scale": False,
}


class Whisper(Family):
    """A front end of log-mel features; keys without a bias.

    Its config has one convolution, whose channels are what pruning may close; the second one makes
    frames of the Transformer's width and counts as the projection.
    """

    key_bias = False
    front_end_norm = False
    projection_kernel = _KERNEL
    least: ClassVar[Mapping[str, int]] = {"mel_bands": 1, "embed_dim": 4}

    def contradictions(self, config: SSLConfig) -> Iterator[str]:
        for name, value in _FIXED.items():
            if (found := getattr(config, name)) != value:
                yield f"expected {name} {value} in a Whisper encoder, found {found}"
        shapes = [(layer.kernel, layer.stride) for layer in config.conv_layers]
        if shapes != [(_KERNEL, 1)]:
            yield f"expected one convolution of kernel {_KERNEL} and stride 1, found {shapes}"
        if config.embed_dim % 2:
            yield f"expected an even embed_dim, found {config.embed_dim}"
        if (config.mel_bands or 0) > BINS:
            yield f"expected at most {BINS} mel_bands, found {config.mel_bands}"
        shortest, longest = HOP / SAMPLE_RATE, POSITIONS * self.hop(config) / SAMPLE_RATE
        if config.padded_to is not None and not shortest <= config.padded_to <= longest:
            yield f"expected padded_to from {shortest:g} to {longest:g} s, found {config.padded_to}"

    def hearing(self, config: SSLConfig) -> str:
        padded = config.padded_to
        length = "their own length" if padded is None else f"{padded:g} s, padded with silence"
        return f"turns them into {config.mel_bands} log-mel bands every 10 ms at {length}"

    def hop(self, config: SSLConfig) -> int:
        return HOP * _STRIDE

    def receptive_field(self, config: SSLConfig) -> int:
        """That of five features: two convolutions of three."""
        return 4 * HOP + WINDOW

    def shortest(self, config: SSLConfig) -> int:
        """One feature: beyond it, and before it, zeros are convolved."""
        return HOP

    def longest(self, config: SSLConfig) -> int | None:
        """What gives no feature more than 30 s do, when that is what inputs are padded to."""
        return None if (padded := config.padded_samples) is None else padded + HOP - 1

    def first_centre(self, config: SSLConfig) -> float:
        """The first window is centred on the first sample, and the first frame on it."""
        return 0.0

    def input_channels(self, config: SSLConfig) -> int:
        return config.mel_bands or 0

    def conv_frames(self, config: SSLConfig, samples: int) -> list[int]:
        features = (config.padded_samples or samples) // HOP
        return [features, -(-features // _STRIDE)]

    def front_end(self, config: SSLConfig) -> nn.Module:
        return WhisperFrontEnd(config)


def whisper_shape(
    layers: int,
    ffn: int,
    embed_dim: int,
    num_heads: int,
    mel_bands: int,
    hidden_dropout: float = 0.0,
    attention_dropout: float = 0.0,
    ffn_dropout: float = 0.0,
) -> SSLConfig:
    """The dense Whisper encoder of these sizes."""
    return SSLConfig(
        family="whisper",
        conv_layers=(ConvLayerConfig(embed_dim, _KERNEL, 1),),
        embed_dim=embed_dim,
        num_heads=num_heads,
        head_dim=embed_dim // num_heads,
        layers=dense_layers(layers, num_heads, ffn),
        pos_conv_groups=1,
        mel_bands=mel_bands,
        projection_dropout=0.0,
        attention_dropout=attention_dropout,
        ffn_dropout=ffn_dropout,
        hidden_dropout=hidden_dropout,
        **_FIXED,
    )


class WhisperFrontEnd(nn.Module):
    """Log-mel features, two convolutions (the second is the projection), positions.

    The positions ``(1500, D)`` are no parameter, and as in the file that they come from: published
    files hold sinusoids rounded to float16. Beyond 30 s they are computed.
    """

    positions: Tensor

    def __init__(self, config: SSLConfig):
        super().__init__()
        (shape,) = config.conv_layers
        second = ConvLayerConfig(config.embed_dim, _KERNEL, _STRIDE)
        bands, pad = config.mel_bands or 0, _KERNEL // 2
        self.log_mel = LogMel(bands)
        self.conv_layers = nn.ModuleList([ConvLayer(bands, shape, None, True, padding=pad)])
        self.projection = StridedConv(shape.channels, second, True, padding=pad)
        positions = torch.empty(POSITIONS, config.embed_dim)
        if not positions.is_meta:  # there values are still to come, and arithmetic imports seconds
            positions = sinusoids(*positions.shape)
        self.register_buffer("positions", positions)

    def forward(
        self, wavs: Tensor, lengths: Tensor | None, masks: tuple[Tensor | None, ...]
    ) -> tuple[Tensor, Tensor | None]:
        """Waveforms ``(B, T)`` and lengths ``(B,)`` to frames ``(B, L, D)`` and their lengths."""
        features = None if lengths is None else lengths // HOP
        return self.convolve(self.log_mel(wavs, lengths), features, masks)

    def convolve(
        self, x: Tensor, lengths: Tensor | None, masks: tuple[Tensor | None, ...]
    ) -> tuple[Tensor, Tensor | None]:
        """Features ``(B, M, bands)``, of which ``lengths`` ``(B,)`` are real, to frames.

        Beyond an item's end both convolutions see zeros, as in an item alone.
        """
        (mask,) = masks
        # Features are never computed in less than float32, what follows may be.
        x, _ = self.conv_layers[0](x.to(self.projection.weight.dtype), None, None, mask)
        x = within(x, lengths)
        frames = F.gelu(self.projection(x, mask))
        lengths = None if lengths is None else (lengths + 1) // _STRIDE
        positions = self._positions(frames.size(1), frames.size(2))
        return frames + positions.to(frames.dtype), lengths

    def _positions(self, count: int, width: int) -> Tensor:
        if count <= POSITIONS:
            return self.positions[:count]
        beyond = sinusoids(count, width, self.positions.device)[POSITIONS:]
        return torch.cat([self.positions, beyond.to(self.positions.dtype)])


def sinusoids(count: int, width: int, device: torch.device | None = None) -> Tensor:
    """Sines, then cosines, of ``count`` positions, ``(count, width)`` (Vaswani et al., 2017).

    In float64 until they are done, of which OpenAI's positions are the roundings.
    """
    half = width // 2
    steps = torch.arange(half, dtype=torch.float64, device=device)
    frequencies = torch.exp(steps * (-math.log(10000) / (half - 1)))
    times = torch.arange(count, dtype=torch.float64, device=device)
    angles = torch.outer(times, frequencies)
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()
