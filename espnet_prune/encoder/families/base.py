"""What a family decides beyond the numbers of a config: modules, frames, cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import nn

from espnet_prune.encoder.attention import PositionGate
from espnet_prune.encoder.config import SSLConfig
from espnet_prune.encoder.front_end import FrontEnd

Number = Any  # an int for a built shape, a scalar tensor for an expected one


class Family:
    """HuBERT and wav2vec 2.0, and what other families replace of them.

    Args:
        title: its name for readers.

    Attributes:
        key_bias: the attention's keys have a bias.
        front_end_norm: there is a LayerNorm before the projection.
        projection_kernel: convolved frames that the projection sees.

    Example:
        >>> from espnet_prune import PRESETS
        >>> config = PRESETS["wavlm_base"]()
        >>> config.rules.title, config.rules.hop(config), config.rules.receptive_field(config)
        ('WavLM', 320, 400)
    """

    key_bias = True
    front_end_norm = True
    projection_kernel = 1

    def __init__(self, title: str):
        self.title = title

    def sizes(self, config: SSLConfig) -> dict[str, tuple[int, int]]:
        """Sizes beyond those that every family has, by name, and the least that each may be."""
        names = ("pos_conv_kernel", "pos_conv_groups")
        return {name: (getattr(config, name), 1) for name in names}

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
        if config.normalize_waveform:
            return "scales them to zero mean and unit variance"
        return "takes them as they are"

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
