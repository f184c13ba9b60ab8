"""One-shot magnitude pruning: the smallest units of each layer close at once, none is learned."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from espnet_prune.encoder import Masks, SSLEncoder, unit_sizes
from espnet_prune.encoder.masks import make_masks
from espnet_prune.pruning.budgets import Limits
from espnet_prune.pruning.factors import direction_ranks, open_what_saves_nothing
from espnet_prune.pruning.gates import UnitGates
from espnet_prune.pruning.pinched_units import UNITS
from espnet_prune.pruning.rounding import close_to

if TYPE_CHECKING:
    from espnet_prune.pruning.config import PruningConfig

_WEIGHTS = {UNITS[name].mask: UNITS[name] for name in ("channel", "head", "row")}


class MagnitudeGates(UnitGates):
    """The same share of each layer's units of a kind closes, those of the smallest weights.

    A unit's size is the root mean square of its weights (after Li et al., 2017, "Pruning filters
    for efficient convnets"): a filter of a convolution, a head's block of the output projection, a
    row of the FFN's first matrix. The largest of each layer closes last. Of ``rank`` the directions
    of thin maps close in one order over all layers (:func:`.direction_ranks`). What closes is
    settled by the weights of ``encoder`` now.

    Args:
        encoder: whose weights are compared.
        units: the kinds that close, of ``conv``, ``head``, ``ffn``, ``rank``.
        limits: what has to become small; of several, each unit closes that one of them closes.
        seconds: the reference length of MACs.

    Example:
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.pruning import Pruner, PruningConfig
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> config = PruningConfig(target=0.5, warmup_steps=0, gate="magnitude")
        >>> [layer.ffn for layer in Pruner(encoder, config).apply_to(encoder).config.layers]
        [766, 766, 766, 767]
    """

    units = (*_WEIGHTS, "rank")
    default_units = tuple(_WEIGHTS)

    def __init__(
        self,
        encoder: SSLEncoder,
        units: tuple[str, ...],
        limits: Limits,
        seconds: float = 1.0,
    ):
        super().__init__(encoder.config, units, seconds)

        sizes, directions = unit_sizes(self.config), direction_ranks(encoder)

        def rank(kind: str, layer: int, size: int) -> Tensor | None:
            if kind not in units or not size:
                return None
            if kind == "rank":
                return directions[layer]
            scores = _WEIGHTS[kind].scores(encoder, layer, size).detach()
            # Layers take turns: one head in each at a time would be too coarse for a budget.
            turn = (layer + 0.5) / len(sizes[kind])
            ranks = (scores.argsort(stable=True).argsort() + turn) / size
            return ranks.masked_fill(ranks == ranks.max(), 1.0)

        ranking = make_masks(self.config, rank)
        masks = close_to(ranking, partial(self.sparsities, limits=limits), limits)
        masks = open_what_saves_nothing(self.config, masks, ranking)
        for name, values in (("rank", ranking), ("mask", masks)):
            for kind in units:
                for layer, value in enumerate(getattr(values, kind)):
                    self.register_buffer(f"{name}_{kind}_{layer}", value)

    @classmethod
    def of(cls, encoder: SSLEncoder, config: PruningConfig) -> MagnitudeGates:
        limits = config.limits(encoder.config)
        return cls(encoder, config.closing, limits, config.reference_seconds)

    def forward(self, encoder: SSLEncoder) -> Masks:
        return self._collect("mask")

    masks = open_probabilities = forward

    def open_values(self, encoder: SSLEncoder) -> Masks:
        return self._collect("mask").map(torch.ones_like)

    def ranking(self, encoder: SSLEncoder) -> Masks:
        return self._collect("rank")

    def _collect(self, name: str) -> Masks:
        return make_masks(
            self.config, lambda kind, layer, _: getattr(self, f"{name}_{kind}_{layer}", None)
        )
