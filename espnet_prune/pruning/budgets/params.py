"""The number of parameters, from one formula for built shapes and for expected ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from espnet_prune.encoder import SSLConfig
from espnet_prune.pruning.budgets.held import Held
from espnet_prune.pruning.cost import Cost, Widths, built_widths, map_sizes


@dataclass(frozen=True)
class Params(Held):
    """Parameters of the encoder (HJ-Pruning-Size, Peng et al., 2023)."""

    measure: ClassVar = "params"

    def count(self, config: SSLConfig, seconds: float, widths: Widths | None = None) -> Cost:
        return count_params(config, widths)


def count_params(config: SSLConfig, widths: Widths | None = None) -> Cost:
    """Parameters by part; without ``widths``, those of the built ``config``, exactly.

    Example:
        >>> from espnet_prune import PRESETS
        >>> from espnet_prune.pruning import count_params
        >>> dense = PRESETS["whisper_tiny_en"]()
        >>> count_params(dense).total, count_params(dense.dense(ffn=512)).total
        (7632384, 4482560)
    """
    widths = widths or built_widths(config)
    dim, rules = config.embed_dim, config.rules
    conv, inputs = 0, rules.input_channels(config)
    for index, (shape, channels) in enumerate(zip(config.conv_layers, widths.conv, strict=True)):
        normed = config.conv_norm == "layer" or (config.conv_norm == "group" and index == 0)
        conv = conv + inputs * channels * shape.kernel
        conv = conv + channels * (int(config.conv_bias) + 2 * normed)
        inputs = channels
    kernel, group = config.pos_conv_kernel, dim // config.pos_conv_groups
    attention, ffn = rules.position_params(config), 0
    for layer in widths.layers:
        joint, out, widen, narrow = map_sizes(config, layer)
        biases = layer.heads * config.head_dim * (2 + rules.key_bias) + dim
        attention = attention + joint + out + biases
        attention = attention + rules.position_gate_params(config, layer.heads, layer.any_head)
        ffn = ffn + widen + narrow + layer.ffn + dim
    return Cost(
        conv=conv,
        projection=(
            2 * inputs * rules.front_end_norm + (inputs * rules.projection_kernel + 1) * dim
        ),
        pos_conv=kernel * (dim * group + 1) + dim * (kernel > 0),
        attention=attention,
        ffn=ffn,
        norm=2 * dim * (config.final_norm or not config.norm_first) + len(widths.layers) * 4 * dim,
    )
