"""Attention for inference: one product for queries, keys, values and position gate."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_prune.encoder.attention import BIAS_BLOCK, Attention, PositionGate, RelativePositionBias
from espnet_prune.inference.linear import MakeLinear, fast_map

# As BIAS_BLOCK, but enough to occupy an accelerator.
_BLOCK_OF_ACCELERATOR = 2**28


class PositionTable(nn.Module):
    """WavLM's position bias as one value per head and offset, in place of a square."""

    values: Tensor

    def __init__(self, bias: RelativePositionBias, dtype: torch.dtype):
        super().__init__()
        reach = bias.max_distance  # farther offsets share the last bucket
        offsets = torch.arange(-reach, reach + 1, device=bias.table.weight.device)
        self.reach = reach
        self.register_buffer("values", bias.values(offsets).detach().to(dtype), persistent=False)

    def forward(self, num_frames: int) -> Tensor:
        """``(H, 2 L - 1)``: for key minus query from 1 - L to L - 1."""
        offsets = torch.arange(1 - num_frames, num_frames, device=self.values.device)
        return self.values[:, offsets.clamp(-self.reach, self.reach) + self.reach]


class InferenceAttention(nn.Module):
    """What :class:`~espnet_prune.encoder.attention.Attention` computes, without its gradients.

    The position bias of query i and key j depends on j - i only. With the queries in reverse
    order its square is a view of the ``2 L - 1`` values per head, so that nothing but the gated
    bias is ever written, and of that one block of queries at a time.
    """

    heads: Tensor
    gate_scale: Tensor

    def __init__(self, attention: Attention, linear: MakeLinear, dtype: torch.dtype):
        super().__init__()
        self.head_dim, self.width, qkv = attention.head_dim, attention.width, attention.qkv
        bias = qkv.full_bias()
        scale = torch.ones_like(bias)
        scale[: self.width] = self.head_dim**-0.5
        weight, bias = qkv.weight * scale[:, None], bias * scale
        inner = None if qkv.inner is None else qkv.inner.weight
        if attention.position_gate is not None:
            gate = attention.position_gate
            width = (weight if inner is None else inner).size(1)
            gate_weight, gate_bias = _gate_rows(gate, width)
            if inner is None:
                weight = torch.cat([weight, gate_weight])
            else:  # the gates hear what comes in, beside the thin map
                inner = torch.cat([inner, gate_weight])
                weight = torch.block_diag(weight, torch.eye(len(gate_bias)).to(weight))
            bias = torch.cat([bias, gate_bias])
            self.register_buffer("heads", gate.heads, persistent=False)
            self.register_buffer("gate_scale", gate.scale.detach().to(dtype), persistent=False)
        outer = linear(weight, bias)
        self.input = outer if inner is None else nn.Sequential(linear(inner), outer)
        self.output = fast_map(attention.out_proj, linear)

    def forward(
        self, x: Tensor, table: Tensor | None, padding: Tensor | None, *masks: None
    ) -> Tensor:
        """See :class:`~espnet_prune.encoder.attention.Attention`; ``table`` ``(H, 2 L - 1)``."""
        batch, frames, _ = x.shape
        y = self.input(x)
        qkv = y[..., : 3 * self.width].view(batch, frames, 3, -1, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        if table is None:
            z = _attend(q, k, v, padding)
        else:
            z = self._biased(q, k, v, self._gates(y[..., 3 * self.width :]), table, padding)
        return self.output(z.transpose(1, 2).reshape(batch, frames, -1))

    def _gates(self, y: Tensor) -> Tensor:
        update, reset = y.sigmoid().unflatten(-1, (2, -1)).permute(2, 0, 3, 1)  # B, h, L
        return update * (reset * self.gate_scale[:, None] - 1.0) + 2.0

    def _biased(
        self, q: Tensor, k: Tensor, v: Tensor, gates: Tensor, table: Tensor, padding: Tensor | None
    ) -> Tensor:
        """Attention ``(B, h, L, d)``, given the gates ``(B, h, L)``."""
        heads, frames = q.shape[1:3]
        table = table[self.heads]
        square = table.as_strided((heads, frames, frames), (table.size(1), 1, 1))
        q, gates = q.flip(2), gates.flip(2)[..., None]
        blocks = []
        for rows in _blocks(q, frames):
            bias = gates[:, :, rows] * square[:, rows]
            bias = bias if padding is None else bias + padding
            blocks.append(_attend(q[:, :, rows], k, v, bias))
        return torch.cat(blocks, dim=2).flip(2)


def _blocks(q: Tensor, frames: int) -> Iterator[slice]:
    """The queries of ``(B, h, n, d)`` that are compared with ``frames`` keys at a time."""
    batch, heads, count, _ = q.shape
    block = BIAS_BLOCK if q.device.type == "cpu" else _BLOCK_OF_ACCELERATOR
    size = max(1, block // (batch * heads * frames))
    return (slice(start, start + size) for start in range(0, count, size))


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """Attention ``(B, h, n, d)`` of scaled queries under a bias ``(B, h, n, L)``.

    The bias may be None, or the same for heads and queries ``(B, 1, 1, L)``.
    """
    if q.device.type != "cpu" or q.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(q, k, v, bias, scale=1.0)
    # PyTorch's fused kernel computes these products at a third of oneDNN's speed.
    batch, heads, count, _ = q.shape
    queries, keys, values = (tensor.flatten(0, 1) for tensor in (q, k.transpose(2, 3), v))
    parts = []
    for rows in _blocks(q, k.size(2)):
        if bias is None:
            scores = torch.bmm(queries[:, rows], keys)
        else:
            square = bias.expand(batch, heads, count, -1)[:, :, rows].flatten(0, 1)
            scores = torch.baddbmm(square, queries[:, rows], keys)
        parts.append(torch.bmm(scores.softmax(dim=-1), values))
    return torch.cat(parts, dim=1).view(q.shape)


def _gate_rows(gate: PositionGate, width: int) -> tuple[Tensor, Tensor]:
    """The gate's two values per kept head as rows ``(2 h, D)`` on the layer's whole input."""
    weight = gate.linear.weight.view(2, 4, -1).sum(1)  # 2, head_dim
    bias = gate.linear.bias.view(2, 4).sum(1)
    rows = weight.new_zeros(2, len(gate.heads), width // gate.head_dim, gate.head_dim)
    rows[:, torch.arange(len(gate.heads)), gate.heads] = weight[:, None]
    return rows.flatten(2).flatten(0, 1), bias.repeat_interleave(len(gate.heads))
