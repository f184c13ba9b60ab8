"""Parameters and MACs of an encoder, from one formula for built shapes and for expected ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from torch import Tensor

from espnet_prune.encoder import Masks, SSLConfig, unit_sizes
from espnet_prune.encoder.families.base import Number
from espnet_prune.encoder.masks import make_masks
from espnet_prune.encoder.typed import ConfigError, check_name

_LONGEST = 10**6  # seconds, some eleven days

PARTS = {
    "total": ("head", "conv", "ffn"),
    "front_end": ("conv",),
    "transformer": ("head", "ffn"),
}
"""What a budget may hold, and the units that bring it to its target: whole heads before finer."""


class LayerWidths(NamedTuple):
    """Open units of one layer: heads, FFN units, and whether there is any head or unit at all."""

    heads: Number
    any_head: Number
    ffn: Number


class Widths(NamedTuple):
    """Open units of an encoder: channels per convolution, and the widths of each layer."""

    conv: tuple[Number, ...]
    layers: tuple[LayerWidths, ...]


@dataclass(frozen=True)
class Cost:
    """A cost by part, in parameters or in multiply-accumulates.

    Example:
        >>> from espnet_prune import PRESETS
        >>> from espnet_prune.pruning import count_params
        >>> cost = count_params(PRESETS["whisper_tiny_en"]())
        >>> cost.front_end, cost.transformer, cost.total
        (535296, 7097088, 7632384)
    """

    conv: Number
    projection: Number
    pos_conv: Number
    attention: Number
    ffn: Number
    norm: Number

    @property
    def front_end(self) -> Number:
        """The convolutions and the projection."""
        return self.conv + self.projection

    @property
    def transformer(self) -> Number:
        """Everything but the front end."""
        return self.pos_conv + self.attention + self.ffn + self.norm

    @property
    def total(self) -> Number:
        """The whole encoder."""
        return self.front_end + self.transformer

    def part(self, name: str) -> Number:
        """The part of it that a budget may hold: ``total``, ``front_end`` or ``transformer``."""
        check_name("a part of the cost", name, PARTS)
        return getattr(self, name)


def built_widths(config: SSLConfig) -> Widths:
    """The widths that ``config`` describes, as integers."""
    return expected_widths(config, make_masks(config, lambda *_: None))


def expected_widths(config: SSLConfig, probabilities: Masks) -> Widths:
    """The widths expected when each unit of ``config`` is open with its own probability.

    Differentiable. The gates are independent, so products of widths are exact expectations.

    Example:
        >>> from espnet_prune import PRESETS, open_masks
        >>> from espnet_prune.pruning import expected_widths
        >>> config = PRESETS["whisper_tiny_en"]()
        >>> probabilities = open_masks(config)
        >>> probabilities.ffn[0][:] = 0.5
        >>> [float(layer.ffn) for layer in expected_widths(config, probabilities).layers]
        [768.0, 1536.0, 1536.0, 1536.0]
    """

    def width(gate: Tensor | None, size: int) -> Number:
        return size if gate is None else gate.sum()

    sizes = unit_sizes(config)
    layers = []
    for index, (heads, ffn) in enumerate(zip(sizes["head"], sizes["ffn"], strict=True)):
        gates = probabilities.layer(index)
        attention: Number = 1 if gates.attention_layer is None else gates.attention_layer
        feed_forward: Number = 1 if gates.ffn_layer is None else gates.ffn_layer
        any_head: Number = int(heads > 0) if gates.head is None else 1 - (1 - gates.head).prod()
        layers.append(
            LayerWidths(
                attention * width(gates.head, heads),
                attention * any_head,
                feed_forward * width(gates.ffn, ffn),
            )
        )
    return Widths(tuple(map(width, probabilities.conv, sizes["conv"])), tuple(layers))


def masked_widths(config: SSLConfig, masks: Masks) -> Widths:
    """The widths of the model that ``masks`` leave over: a mask above zero counts as one.

    Example:
        >>> from espnet_prune import PRESETS, open_masks
        >>> from espnet_prune.pruning import count_params, masked_widths
        >>> config = PRESETS["whisper_tiny_en"]()
        >>> masks = open_masks(config)
        >>> masks.head[0][:2] = 0
        >>> int(count_params(config, masked_widths(config, masks)).attention)
        2167040
    """
    return expected_widths(config, masks.map(lambda mask: (mask > 0).double()))


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
    dim, head_dim = config.embed_dim, config.head_dim
    rules = config.rules
    conv, inputs = 0, rules.input_channels(config)
    for index, (shape, channels) in enumerate(zip(config.conv_layers, widths.conv, strict=True)):
        normed = config.conv_norm == "layer" or (config.conv_norm == "group" and index == 0)
        conv = conv + inputs * channels * shape.kernel
        conv = conv + channels * (int(config.conv_bias) + 2 * normed)
        inputs = channels
    kernel, group = config.pos_conv_kernel, dim // config.pos_conv_groups
    attention, ffn = rules.position_params(config), 0
    for layer in widths.layers:
        attention = attention + dim + layer.heads * head_dim * (4 * dim + 2 + rules.key_bias)
        attention = attention + rules.position_gate_params(config, layer.heads, layer.any_head)
        ffn = ffn + dim + layer.ffn * (2 * dim + 1)
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


def count_macs(config: SSLConfig, seconds: float = 1.0, widths: Widths | None = None) -> Cost:
    """Multiply-accumulates of one input of ``seconds``, in DiariZen's convention.

    Convolutions, linear maps, QK and AV; no norms, activations, softmax or position gate, and no
    log-mel features, which have no weights. The attention grows with the square of the length, so
    "per second" holds at one length only; an encoder that pads its inputs always costs as much.

    Raises:
        ConfigError: the input is shorter than one frame, or longer than any that the encoder takes.

    Example:
        >>> from espnet_prune import PRESETS
        >>> from espnet_prune.pruning import count_macs
        >>> config = PRESETS["whisper_tiny_en"]()
        >>> count_macs(config).total, count_macs(config, seconds=30).total
        (392908800, 18468864000)
    """
    shortest, longest = config.shortest / 16000, config.padded_to or _LONGEST
    if not shortest <= seconds <= longest:
        raise ConfigError(
            f"expected an input of {shortest:g} s (one frame) to {longest:g} s, found {seconds:g} s"
        )
    widths = widths or built_widths(config)
    dim, head_dim = config.embed_dim, config.head_dim
    conv, inputs = 0, config.rules.input_channels(config)
    *counts, frames = config.rules.conv_frames(config, round(seconds * 16000))
    for shape, channels, count in zip(config.conv_layers, widths.conv, counts, strict=True):
        conv = conv + count * shape.kernel * inputs * channels
        inputs = channels
    positions = frames + 1 - config.pos_conv_kernel % 2
    attention, ffn = 0, 0
    for layer in widths.layers:
        width = layer.heads * head_dim
        attention = attention + 4 * frames * width * dim + 2 * frames * frames * width
        ffn = ffn + 2 * frames * dim * layer.ffn
    return Cost(
        conv=conv,
        projection=frames * config.rules.projection_kernel * inputs * dim,
        pos_conv=positions * config.pos_conv_kernel * dim * dim // config.pos_conv_groups,
        attention=attention,
        ffn=ffn,
        norm=0,
    )


MEASURES: dict[str, Callable[[SSLConfig, float, Widths | None], Cost]] = {
    "params": lambda config, _, widths: count_params(config, widths),
    "macs": count_macs,
}
"""What can be counted, by the name that budgets know it by; a new one is a line here.

Each counts a config at widths (None: as it is built), for an input of some seconds.
"""


class Costs:
    """The costs of one encoder by measure, each of which ``count`` makes when first asked for."""

    def __init__(self, count: Callable[[str], Cost]):
        self._count = cache(count)

    def by(self, measure: str) -> Cost:
        """The cost that ``measure`` names."""
        check_name("a cost", measure, MEASURES)
        return self._count(measure)

    @property
    def params(self) -> Cost:
        """Parameters."""
        return self.by("params")

    @property
    def macs(self) -> Cost:
        """Multiply-accumulates at the reference length."""
        return self.by("macs")


def count_costs(config: SSLConfig, seconds: float, widths: Widths | None = None) -> Costs:
    """The costs of ``config`` at ``widths`` (None: as it is), for ``seconds`` of input."""
    return Costs(lambda measure: MEASURES[measure](config, seconds, widths))
