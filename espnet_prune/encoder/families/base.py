"""What a family decides beyond the numbers of a config: modules, frames, cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from torch import nn

from espnet_prune.encoder.attention import PositionGate, RelativePositionBias
from espnet_prune.encoder.config import SSLConfig
from espnet_prune.encoder.front_end import FrontEnd

Number = Any  # an int for a built shape, a scalar tensor for an expected one


class Family:
    """HuBERT and wav2vec 2.0, and what other families replace of them.

    Attributes:
        title: its name for readers.
        key_bias: the attention's keys have a bias.
        front_end_norm: there is a LayerNorm before the projection.
        projection_kernel: convolved frames that the projection sees.
        least: the least value of sizes that its configs have beyond those of every family.

    Example:
        >>> from espnet_prune import PRESETS
        >>> config = PRESETS["wavlm_base"]()
        >>> config.rules.title, config.rules.hop(config), config.rules.receptive_field(config)
        ('WavLM', 320, 400)
    """

    key_bias = True
    front_end_norm = True
    projection_kernel = 1
    least: ClassVar[Mapping[str, int]] = {"pos_conv_kernel": 1, "pos_conv_groups": 1}

    def __init__(self, title: str):
        self.title = title

    def contradictions(self, config: SSLConfig) -> Iterator[str]:
        """What is wrong with a config whose sizes are possible."""
        if config.embed_dim % config.pos_conv_groups:
            yield f"pos_conv_groups {config.pos_conv_groups} does not divide {config.embed_dim}"
        if config.conv_norm == "none":
            yield f"expected conv_norm of group, layer in a {self.title}, found none"
        for name in ("mel_bands", "padded_to"):
            if (found := getattr(config, name)) is not None:
                yield f"a {self.title} hears waveforms of any length, found {name} {found}"

    def hearing(self, config: SSLConfig) -> str:
        """What it does to waveforms, for readers."""
        scaled = config.normalize_waveform
        return "scales them to zero mean and unit variance" if scaled else "takes them as they are"

    def hop(self, config: SSLConfig) -> int:
        """Samples between the starts of two frames."""
        return math.prod(layer.stride for layer in config.conv_layers)

    def receptive_field(self, config: SSLConfig) -> int:
        """Samples that one frame sees."""
        field = 1
        for layer in reversed(config.conv_layers):
            field = (field - 1) * layer.stride + layer.kernel
        return field

    def shortest(self, config: SSLConfig) -> int:
        """Samples that the first frame needs; each hop beyond gives another frame."""
        return self.receptive_field(config)

    def longest(self, config: SSLConfig) -> int | None:
        """Samples of the longest input, None if there is none."""
        return None

    def first_centre(self, config: SSLConfig) -> float:
        """Samples from the start of the input to the centre of the first frame."""
        return self.receptive_field(config) / 2

    def input_channels(self, config: SSLConfig) -> int:
        """What the first convolution sees of each step: one sample."""
        return 1

    def conv_frames(self, config: SSLConfig, samples: int) -> list[int]:
        """Frames of ``samples`` that each convolution computes, then the projection."""
        frames = []
        for layer in config.conv_layers:
            samples = (samples - layer.kernel) // layer.stride + 1
            frames.append(samples)
        return [*frames, samples]

    def front_end(self, config: SSLConfig) -> nn.Module:
        """The module from waveforms to the frames that the Transformer takes."""
        return FrontEnd(config)

    def position_bias(self, config: SSLConfig) -> nn.Module | None:
        """The module that makes a bias on the attention's scores, shared by all layers."""
        return None

    def position_gate(self, config: SSLConfig, heads: tuple[int, ...]) -> PositionGate | None:
        """The module that scales this bias in a layer that keeps ``heads``."""
        return None

    def position_params(self, config: SSLConfig) -> int:
        """Parameters of :meth:`position_bias`."""
        return 0

    def position_gate_params(self, config: SSLConfig, heads: Number, any_head: Number) -> Number:
        """Parameters of :meth:`position_gate`, of a layer with ``heads`` heads, if any."""
        return 0


class WavLM(Family):
    """HuBERT with a relative position bias, gated per layer and head (Chen et al., 2022)."""

    least: ClassVar[Mapping[str, int]] = {**Family.least, "num_buckets": 4, "max_distance": 2}

    def contradictions(self, config: SSLConfig) -> Iterator[str]:
        yield from super().contradictions(config)
        heads, head_dim, dim = config.num_heads, config.head_dim, config.embed_dim
        if heads * head_dim != dim:
            needed = "WavLM needs num_heads * head_dim == embed_dim"
            yield f"{needed}, found {heads} * {head_dim} != {dim}"
        distance, buckets = config.max_distance, config.num_buckets
        if distance <= buckets // 4:
            yield f"max_distance {distance} leaves no room for {buckets} buckets"

    def position_bias(self, config: SSLConfig) -> RelativePositionBias:
        return RelativePositionBias(config.num_buckets, config.max_distance, config.num_heads)

    def position_gate(self, config: SSLConfig, heads: tuple[int, ...]) -> PositionGate:
        return PositionGate(config, heads)

    def position_params(self, config: SSLConfig) -> int:
        return config.num_buckets * config.num_heads

    def position_gate_params(self, config: SSLConfig, heads: Number, any_head: Number) -> Number:
        return any_head * 8 * (config.head_dim + 1) + heads
