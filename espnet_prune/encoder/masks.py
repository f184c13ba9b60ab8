"""Masks: the values that multiply an encoder's units, made by gates, taken by the forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from espnet_prune.encoder.config import SSLConfig


class LayerMasks(NamedTuple):
    """The masks of one Transformer layer; ``None`` leaves a unit as it is.

    Example:
        >>> from espnet_prune import PRESETS, open_masks
        >>> open_masks(PRESETS["whisper_tiny_en"]()).layer(0).head
        tensor([1., 1., 1., 1., 1., 1.])
    """

    head: Tensor | None = None
    ffn: Tensor | None = None
    attention_layer: Tensor | None = None
    ffn_layer: Tensor | None = None
    rank: Tensor | None = None


class Masks(NamedTuple):
    """One value per unit, in [0, 1]; 0 closes the unit, ``None`` stands for "all open".

    Attributes:
        conv: per convolution ``(C,)``.
        head: per layer ``(H,)``, over the heads that the config keeps.
        ffn: per layer ``(F,)``.
        attention_layer: per layer a scalar ``()`` on the whole attention sublayer.
        ffn_layer: per layer a scalar ``()`` on the whole FFN sublayer.
        rank: per layer ``(R,)``, over what passes between the thin maps of each factored one, in
            the order of :data:`.MAPS`.

    Example:
        >>> from espnet_prune import PRESETS, open_masks
        >>> masks = open_masks(PRESETS["whisper_tiny_en"]())
        >>> masks.ffn[0][:512] = 0  # closes a third of the first layer's FFN
        >>> [int(mask.sum()) for mask in masks.ffn]
        [1024, 1536, 1536, 1536]
    """

    conv: tuple[Tensor | None, ...]
    head: tuple[Tensor | None, ...]
    ffn: tuple[Tensor | None, ...]
    attention_layer: tuple[Tensor | None, ...]
    ffn_layer: tuple[Tensor | None, ...]
    rank: tuple[Tensor | None, ...]

    def layer(self, index: int) -> LayerMasks:
        """The masks of Transformer layer ``index``."""
        return LayerMasks(*(unit[index] for unit in self[1:]))

    def map(self, function: Callable[[Tensor], Tensor]) -> Masks:
        """Apply ``function`` to every mask that is there."""
        return Masks(*(tuple(m if m is None else function(m) for m in unit) for unit in self))


UNITS = Masks._fields


def unit_sizes(config: SSLConfig) -> dict[str, tuple[int, ...]]:
    """How many units of each kind each layer of ``config`` has (0: nothing left to gate).

    Example:
        >>> from espnet_prune import PRESETS
        >>> from espnet_prune.encoder import unit_sizes
        >>> sizes = unit_sizes(PRESETS["whisper_tiny_en"]())
        >>> sizes["conv"], sizes["head"]
        ((384,), (6, 6, 6, 6))
    """
    return {
        "conv": tuple(layer.channels for layer in config.conv_layers),
        "head": tuple(len(layer.heads) for layer in config.layers),
        "ffn": tuple(layer.ffn for layer in config.layers),
        "attention_layer": tuple(int(bool(layer.heads)) for layer in config.layers),
        "ffn_layer": tuple(int(bool(layer.ffn)) for layer in config.layers),
        "rank": tuple(sum(layer.map_ranks) for layer in config.layers),
    }


def make_masks(config: SSLConfig, make: Callable[[str, int, int], Tensor | None]) -> Masks:
    """Masks of what ``make`` gives for each kind of unit, layer and number of units there."""
    return Masks(
        **{
            unit: tuple(make(unit, layer, size) for layer, size in enumerate(sizes))
            for unit, sizes in unit_sizes(config).items()
        }
    )


def open_masks(config: SSLConfig) -> Masks:
    """All units open, every mask present; the masked model equals the plain one.

    Example:
        >>> import torch
        >>> from espnet_prune import SSLEncoder, open_masks
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> masks = open_masks(encoder.config)
        >>> masks.head[0][2] = 0  # the first layer without its third head
        >>> encoder(torch.zeros(1, 8000), masks=masks).hidden_states[-1].shape
        torch.Size([1, 25, 384])
    """
    return make_masks(
        config, lambda unit, _, size: torch.ones(() if unit.endswith("_layer") else size)
    )
