"""Widths of an encoder, built or expected, and what a cost by part is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor

from espnet_prune.encoder import Masks, SSLConfig, unit_sizes
from espnet_prune.encoder.families.base import Number
from espnet_prune.encoder.masks import make_masks
from espnet_prune.encoder.typed import check_name


class LayerWidths(NamedTuple):
    """Open units of one layer: heads, whether there is any, FFN units, and ranks of its maps."""

    heads: Number
    any_head: Number
    ffn: Number
    ranks: tuple[Number | None, ...]


class Widths(NamedTuple):
    """Open units of an encoder: channels per convolution, and the widths of each layer."""

    conv: tuple[Number, ...]
    layers: tuple[LayerWidths, ...]


@dataclass(frozen=True)
class Cost:
    """A cost by part, in what a budget counts.

    Example:
        >>> from espnet_prune import PRESETS
        >>> from espnet_prune.pruning import count_params
        >>> cost = count_params(PRESETS["whisper_tiny_en"]())
        >>> cost.front_end, cost.transformer, cost.total
        (535296, 7097088, 7632384)
    """

    parts: ClassVar[tuple[str, ...]] = ("total", "front_end", "transformer")

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
        """The part of it that a budget may hold, one of ``parts``."""
        check_name("a part of the cost", name, self.parts)
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
                _ranks(config.layers[index].map_ranks, gates.rank),
            )
        )
    return Widths(tuple(map(width, probabilities.conv, sizes["conv"])), tuple(layers))


def _ranks(built: tuple[int, ...], gates: Tensor | None) -> tuple[Number | None, ...]:
    """The rank of each of a layer's maps, at least 1; None for a single matrix."""
    own = built if gates is None else [each.sum().clamp(min=1) for each in gates.split(built)]
    return tuple(rank if size else None for rank, size in zip(own, built, strict=True))


def map_sizes(config: SSLConfig, layer: LayerWidths) -> tuple[Number, ...]:
    """Weights of each linear map of a layer: of one matrix, or of two thin ones if those are fewer.

    They are those of :data:`.MAPS`, and in their order.
    """

    def size(inputs: Number, outputs: Number, rank: Number | None) -> Number:
        whole = inputs * outputs
        if rank is None or (thin := rank * (inputs + outputs)) < whole:
            return whole if rank is None else thin
        # As large as the matrix; the gradient still says that a smaller rank would be smaller.
        return whole + (thin - thin.detach()) if isinstance(thin, Tensor) else whole

    shapes = _map_shapes(config, layer)
    return tuple(size(*shape, rank) for shape, rank in zip(shapes, layer.ranks, strict=True))


def inner_widths(config: SSLConfig, layer: LayerWidths) -> tuple[Number, ...]:
    """What passes between the thin maps of a layer, of each map; 0 where one matrix is as small."""
    shapes = _map_shapes(config, layer)
    return tuple(
        rank if rank is not None and rank * (inputs + outputs) < inputs * outputs else 0
        for (inputs, outputs), rank in zip(shapes, layer.ranks, strict=True)
    )


def _map_shapes(config: SSLConfig, layer: LayerWidths) -> tuple[tuple[Number, Number], ...]:
    """Inputs and outputs of each linear map of a layer, those of :data:`.MAPS`."""
    dim, width = config.embed_dim, layer.heads * config.head_dim
    return (dim, 3 * width), (width, dim), (dim, layer.ffn), (layer.ffn, dim)


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
