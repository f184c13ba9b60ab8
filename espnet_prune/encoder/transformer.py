"""The Transformer: positional convolution and layers of individual widths."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from espnet_prune.encoder.attention import Attention
from espnet_prune.encoder.config import SSLConfig, TransformerLayerConfig
from espnet_prune.encoder.linear import Linear, Ranks
from espnet_prune.encoder.masks import LayerMasks


class PositionalConv(nn.Module):
    """Grouped convolution whose output is added to the frames as their position."""

    def __init__(self, config: SSLConfig):
        super().__init__()
        kernel, width = config.pos_conv_kernel, config.embed_dim
        conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=config.pos_conv_groups)
        self.conv = weight_norm(conv, dim=2)
        self.surplus = 1 - kernel % 2

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, D)`` to ``(B, L, D)``."""
        y = self.conv(x.transpose(1, 2))
        return F.gelu(y[..., : y.size(2) - self.surplus]).transpose(1, 2)


class FeedForward(nn.Module):
    """Linear, GELU, Linear."""

    def __init__(self, config: SSLConfig, shape: TransformerLayerConfig):
        super().__init__()
        *_, widen, narrow = shape.map_ranks
        self.fc1 = Linear(config.embed_dim, shape.ffn, widen)
        self.fc2 = Linear(shape.ffn, config.embed_dim, narrow)
        self.dropout = nn.Dropout(config.ffn_dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None, gate: Tensor | None, ranks: Ranks = (None, None)
    ) -> Tensor:
        """Map ``(B, L, D)``; ``mask`` ``(F,)`` multiplies the inner units, ``gate`` the result.

        ``ranks`` are those of both maps, as of :meth:`.Linear.forward`.
        """
        y = self.dropout(F.gelu(self.fc1(x, ranks=ranks[0])))
        return self.fc2(y, mask, gate, ranks[1])


class EmptySublayer(nn.Module):
    """What is left of an attention or FFN without units: its output bias."""

    def __init__(self, config: SSLConfig):
        super().__init__()
        self.bias = nn.Parameter(Tensor(config.embed_dim))

    def forward(self, x: Tensor, *others: Tensor | None) -> Tensor:
        """The bias, times the sublayer's gate ``others[-2]``, for every frame of ``(B, L, D)``."""
        *_, gate, _ = others
        return (self.bias if gate is None else self.bias * gate).expand_as(x)


class TransformerLayer(nn.Module):
    """Attention and FFN, each with a residual and a LayerNorm before (pre-norm) or after it."""

    def __init__(self, config: SSLConfig, shape: TransformerLayerConfig):
        super().__init__()
        self.norm_first, self.ranks = config.norm_first, shape.map_ranks
        self.attention = Attention(config, shape) if shape.heads else EmptySublayer(config)
        self.feed_forward = FeedForward(config, shape) if shape.ffn else EmptySublayer(config)
        self.attention_norm = nn.LayerNorm(config.embed_dim)
        self.ffn_norm = nn.LayerNorm(config.embed_dim)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(
        self, x: Tensor, bias: Tensor | None, padding: Tensor | None, masks: LayerMasks
    ) -> Tensor:
        """``(B, L, D)`` to ``(B, L, D)``; the other arguments are those of :class:`Attention`."""

        none = (None,) * len(self.ranks)
        ranks = none if masks.rank is None else masks.rank.split(self.ranks)

        def attend(y: Tensor) -> Tensor:
            own = masks.head, masks.attention_layer, ranks[:2]
            return self.dropout(self.attention(y, bias, padding, *own))

        def feed(y: Tensor) -> Tensor:
            return self.dropout(self.feed_forward(y, masks.ffn, masks.ffn_layer, ranks[2:]))

        if self.norm_first:
            x = x + attend(self.attention_norm(x))
            return x + feed(self.ffn_norm(x))
        x = self.attention_norm(x + attend(x))
        return self.ffn_norm(x + feed(x))
