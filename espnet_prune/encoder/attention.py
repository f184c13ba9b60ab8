"""Self-attention over explicitly kept heads, with WavLM's gated relative position bias."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_prune.encoder.config import SSLConfig, TransformerLayerConfig
from espnet_prune.encoder.linear import Linear, Ranks

BIAS_BLOCK = 2**21
"""Values of the position bias that an inference form builds at a time on a CPU, for its cache."""


class RelativePositionBias(nn.Module):
    """T5-style bucketed bias per head of the dense model (WavLM), shared by all layers."""

    def __init__(self, num_buckets: int, max_distance: int, num_heads: int):
        super().__init__()
        self.num_buckets, self.max_distance = num_buckets, max_distance
        self.table = nn.Embedding(num_buckets, num_heads)

    def forward(self, num_frames: int) -> Tensor:
        """Bias ``(H, L, L)`` of query frame i (second axis) and key frame j (third axis)."""
        offsets = torch.arange(1 - num_frames, num_frames, device=self.table.weight.device)
        # Windows of the values: the one from 1 - L is that of the last query. Heads are outermost
        # in memory, too, as attention reads them.
        return self.values(offsets).contiguous().unfold(1, num_frames, 1).flip(1)

    def values(self, offsets: Tensor) -> Tensor:
        """The bias ``(H, n)`` for ``n`` differences between key and query, in frames."""
        return self.table(self._bucket(offsets)).t()

    def _bucket(self, offsets: Tensor) -> Tensor:
        half = self.num_buckets // 2
        exact = half // 2
        distance = offsets.abs()
        # In the order of the original's operations: rounding decides at a bucket's edge.
        growth = torch.log(distance.clamp(min=1).float() / exact)
        far = exact + (growth / math.log(self.max_distance / exact) * (half - exact)).long()
        bucket = torch.where(distance < exact, distance, far.clamp(max=half - 1))
        return bucket + half * (offsets > 0)


class PositionGate(nn.Module):
    """WavLM's gate on the position bias, for the kept heads only."""

    heads: Tensor

    def __init__(self, config: SSLConfig, heads: tuple[int, ...]):
        super().__init__()
        self.num_heads, self.head_dim = config.num_heads, config.head_dim
        self.register_buffer("heads", torch.tensor(heads), persistent=False)
        self.linear = nn.Linear(config.head_dim, 8)
        self.scale = nn.Parameter(torch.ones(len(heads)))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Gated bias ``(B, h, L, L)`` from the input ``(B, L, D)`` and the bias ``(H, L, L)``."""
        batch, frames, _ = x.shape
        per_head = x.view(batch, frames, self.num_heads, self.head_dim)
        if len(self.heads) < self.num_heads:
            per_head, bias = per_head[:, :, self.heads], bias[self.heads]
        gates = self.linear(per_head).view(batch, frames, -1, 2, 4).sum(-1).sigmoid()
        # In this order in memory, too: the square that follows takes it over, and attention would
        # copy that into its own.
        update, reset = gates.permute(3, 0, 2, 1).contiguous()  # each B, h, L
        gate = update * (reset * self.scale[:, None] - 1.0) + 2.0
        return gate[..., None] * bias


class JointLinear(Linear):
    """Queries, keys and values ``(..., 3 W)`` of frames ``(..., D)`` in one product.

    The bias is ``(3 W,)``, or that of queries and values ``(2 W,)`` in families without key bias.
    """

    def __init__(self, config: SSLConfig, width: int, rank: int):
        super().__init__(config.embed_dim, 3 * width, rank)
        self.key_bias = config.rules.key_bias
        if not self.key_bias:
            self.bias = nn.Parameter(self.bias.detach()[width:].clone())

    def full_bias(self) -> Tensor:
        if self.key_bias:
            return self.bias
        queries, values = self.bias.chunk(2)
        return torch.cat([queries, torch.zeros_like(queries), values])


class Attention(nn.Module):
    """Multi-head self-attention over the kept heads of one layer."""

    def __init__(self, config: SSLConfig, shape: TransformerLayerConfig):
        super().__init__()
        self.head_dim, self.width = config.head_dim, len(shape.heads) * config.head_dim
        joint, out, *_ = shape.map_ranks
        self.qkv = JointLinear(config, self.width, joint)
        self.position_gate = config.rules.position_gate(config, shape.heads)
        self.out_proj = Linear(self.width, config.embed_dim, out)
        self.dropout = config.attention_dropout

    def forward(
        self,
        x: Tensor,
        bias: Tensor | None,
        padding: Tensor | None,
        mask: Tensor | None,
        gate: Tensor | None,
        ranks: Ranks = (None, None),
    ) -> Tensor:
        """Attend within each item, frames ``(B, L, D)`` to ``(B, L, D)``.

        Args:
            bias: relative position bias ``(H, L, L)`` of the dense model's heads.
            padding: 0 or -inf per key frame ``(B, 1, 1, L)``.
            mask: one value per kept head ``(h,)``, which multiplies the head's output.
            gate: a scalar ``()`` that multiplies the result.
            ranks: of the maps of the input and of the output, as of :meth:`.Linear.forward`.
        """
        batch, frames, _ = x.shape
        y = self.qkv(x, ranks=ranks[0])
        q, k, v = y.view(batch, frames, 3, -1, self.head_dim).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        if self.position_gate is None:
            y = F.scaled_dot_product_attention(q, k, v, padding, dropout_p=dropout)
        else:
            gated = self.position_gate(x, bias)
            y = _biased_attention(q, k, v, gated if padding is None else gated + padding, dropout)
        y = y.transpose(1, 2).reshape(batch, frames, -1)
        mask = None if mask is None else mask.repeat_interleave(self.head_dim)
        return self.out_proj(y, mask, gate, ranks[1])


def _biased_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, dropout: float) -> Tensor:
    """Attention ``(B, h, L, d)`` under a bias ``(B, h, L, L)``.

    PyTorch's own attention has no fused kernel for a bias that wants a gradient, and what it falls
    back to takes several times as long as these three products.
    """
    if not bias.requires_grad:
        return F.scaled_dot_product_attention(q, k, v, bias, dropout)
    batch, heads, frames, size = q.shape
    shape = (batch * heads, frames, size)
    queries = (q * size**-0.5).reshape(shape)
    keys, values = k.reshape(shape).transpose(1, 2), v.reshape(shape)
    scores = torch.baddbmm(bias.reshape(batch * heads, frames, frames), queries, keys)
    weights = F.dropout(scores.softmax(dim=-1), dropout, training=dropout > 0)
    return torch.bmm(weights, values).view(q.shape)
