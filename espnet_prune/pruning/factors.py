"""Linear maps as two thin ones: a start by singular values, and which directions matter least."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from espnet_prune.encoder import Masks, SSLConfig, SSLEncoder
from espnet_prune.encoder.config import MAPS
from espnet_prune.encoder.linear import Linear
from espnet_prune.pruning.cost import map_sizes, masked_widths

if TYPE_CHECKING:
    from espnet_prune.pruning.config import PruningConfig


@torch.no_grad()
def factored(encoder: SSLEncoder) -> SSLEncoder:
    """The same encoder whose linear maps of the Transformer are two thin ones each, for gates.

    Of a matrix W = U S V the maps are U sqrt(S) and sqrt(S) V, of full rank, so that outputs stay
    (to rounding). They have more weights than W: what gates leave of them is cut by
    :func:`~espnet_prune.pruning.apply`, which keeps one matrix where that is no larger. What is
    thin already stays as it is.

    Example:
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.pruning.factors import factored
        >>> factored(SSLEncoder.from_pretrained("whisper_tiny_en")).config.layers[0].ranks
        (384, 384, 384, 384)
    """
    state, layers = encoder.state_dict(), []
    for index, shape in enumerate(encoder.config.layers):
        ranks = []
        for name, rank in zip(MAPS, shape.map_ranks, strict=True):
            weight = state.get(key := f"layers.{index}.{name}.weight")
            if weight is not None and not rank:
                found = torch.linalg.svd(weight.double(), full_matrices=False)
                left, values, right = (each.to(weight) for each in found)
                state[key] = left * values.sqrt()
                state[f"layers.{index}.{name}.inner.weight"] = values.sqrt()[:, None] * right
                rank = len(values)
            ranks.append(rank)
        layers.append(replace(shape, ranks=tuple(ranks)))
    thin = SSLEncoder(replace(encoder.config, layers=tuple(layers)))
    thin.load_state_dict(state, strict=True)
    thin.history = encoder.history
    return thin.train(encoder.training)


def prepared(encoder: SSLEncoder, config: PruningConfig) -> SSLEncoder:
    """``encoder`` with the parts that gates of ``config`` are on: thin maps for ``rank``.

    Example:
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.pruning import Pruner, PruningConfig, prepared
        >>> config = PruningConfig(0.5, 0, gate="magnitude", units=("rank",), budget="macs")
        >>> encoder = prepared(SSLEncoder.from_pretrained("whisper_tiny_en"), config)
        >>> Pruner(encoder, config).apply_to(encoder).config.layers[0].ranks
        (102, 186, 112, 105)
    """
    return factored(encoder) if "rank" in config.closing else encoder


def direction_ranks(encoder: SSLEncoder) -> list[Tensor | None]:
    """Which of all directions between thin maps closes first, from 0 to 1, per layer ``(R,)``.

    The order is that of the share of its map's energy that a direction holds (of a start by
    singular values: sigma^2 over their sum) for each weight that it takes.
    """
    scores = [_scores(encoder, index) for index in range(len(encoder.layers))]
    ranks = torch.cat(scores).argsort(stable=True).argsort() / max(1, sum(map(len, scores)))
    split = ranks.split([len(each) for each in scores])
    return [each if len(each) else None for each in split]


def _scores(encoder: SSLEncoder, index: int) -> Tensor:
    shape, parts = encoder.config.layers[index], []
    for name, rank in zip(MAPS, shape.map_ranks, strict=True):
        if rank:
            linear = cast(Linear, encoder.get_submodule(f"layers.{index}.{name}"))
            weight, inner = linear.weight.detach(), cast(Linear, linear.inner).weight.detach()
            energy = weight.square().sum(0) * inner.square().sum(1)
            parts.append(energy / energy.sum() / (weight.size(0) + inner.size(1)))
    return torch.cat(parts) if parts else next(encoder.parameters()).detach().new_zeros(0)


def open_what_saves_nothing(config: SSLConfig, masks: Masks, ranking: Masks) -> Masks:
    """``masks`` with the directions open that cost nothing.

    These are all of a map that would be one matrix all the same, and of one that has none the first
    by ``ranking``.
    """
    ranks = list(masks.rank)
    for index, layer in enumerate(masked_widths(config, masks).layers):
        if (mask := ranks[index]) is not None:
            whole = map_sizes(config, layer._replace(ranks=(None,) * len(MAPS)))
            pieces = (each.split(config.layers[index].map_ranks)
                      for each in (mask, cast(Tensor, ranking.rank[index])))  # fmt: skip
            each = zip(*pieces, map_sizes(config, layer), whole, strict=True)
            ranks[index] = torch.cat([_opened(m, r, all_=s >= w) for m, r, s, w in each])
    return masks._replace(rank=tuple(ranks))


def _opened(mask: Tensor, ranks: Tensor, all_: bool) -> Tensor:
    if all_ or not len(mask):
        return torch.ones_like(mask)
    return mask if mask.any() else mask.index_fill(0, ranks.argmax()[None], 1.0)
