"""The form of a model that is exported: the same outputs, from operations that export well."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_prune.encoder.attention import RelativePositionBias
from espnet_prune.encoder.log_mel import HOP, WINDOW, LogMel, hann
from espnet_prune.encoder.transformer import PositionalConv
from espnet_prune.inference.attention import PositionTable
from espnet_prune.inference.front_end import FoldedPositionalConv

M = TypeVar("M", bound=nn.Module)


def export_form(model: M) -> M:
    """A copy of ``model`` for inference, with parts replaced; ``model`` is left as it is."""
    form = copy.deepcopy(model).eval().requires_grad_(False)
    for module in list(form.modules()):
        for name, child in module.named_children():
            if type(child) in _REPLACEMENTS:
                setattr(module, name, _REPLACEMENTS[type(child)](child))
    for buffer in form.buffers():
        buffer.data = buffer.contiguous()  # newer torch.export.save warns of others
    return form


class SquarePositionTable(PositionTable):
    """What :class:`RelativePositionBias` computes, from a value per head and offset.

    The logarithm that finds an offset's bucket stays here: at a bucket's edge its rounding
    decides, and runtimes round in their own ways.
    """

    def forward(self, num_frames: int) -> Tensor:
        frames = torch.arange(num_frames, device=self.values.device)
        return super().forward(num_frames)[:, frames[None] - frames[:, None] + num_frames - 1]


class ExportedSelfAttention(nn.Module):
    """What ``nn.MultiheadAttention`` computes in a Conformer.

    PyTorch's own copies queries, keys and values to another layout, of which newer exporters
    conclude that batches have more than one item.
    """

    def __init__(self, attention: nn.MultiheadAttention):
        super().__init__()
        self.num_heads = attention.num_heads
        self.weight, self.bias = attention.in_proj_weight, attention.in_proj_bias
        self.out_proj = attention.out_proj

    def forward(self, query: Tensor, key_padding_mask: Tensor, **_: Any) -> tuple[Tensor, None]:
        """Frames ``(L, B, D)``, True at padding ``(B, L)``, to frames ``(L, B, D)``."""
        frames, batch, width = query.shape
        qkv = F.linear(query, self.weight, self.bias).view(frames, batch, 3, self.num_heads, -1)
        q, k, v = qkv.permute(2, 1, 3, 0, 4)
        y = F.scaled_dot_product_attention(q, k, v, ~key_padding_mask[:, None, None])
        return self.out_proj(y.permute(2, 0, 1, 3).reshape(frames, batch, width)), None


class ExportedLogMel(LogMel):
    """What :class:`LogMel` computes, its Fourier transform as the matrix that every runtime has."""

    fourier: Tensor

    def __init__(self, log_mel: LogMel):
        super().__init__(len(log_mel.filters))
        samples = torch.arange(WINDOW, dtype=torch.float64)
        turns = torch.outer(samples[: WINDOW // 2 + 1], samples) / WINDOW
        angles = turns.frac() * (2 * math.pi)
        fourier = torch.stack([angles.cos(), angles.sin()], dim=1) * hann()  # 201, 2, 400
        self.register_buffer("fourier", fourier.flatten(0, 1).float(), persistent=False)

    def spectra(self, wavs: Tensor) -> Tensor:
        # Windows are five blocks of half a hop. A convolution would need no copies, but on an
        # accelerator it rounds its input to ten bits (TF32) unless told otherwise.
        size = HOP // 2
        blocks = wavs.unflatten(1, (-1, size))
        count = WINDOW // size
        end = blocks.size(1) - count + 1
        windows = torch.cat([blocks[:, i : i + end : 2] for i in range(count)], dim=-1)
        return F.linear(windows, self.fourier)


_REPLACEMENTS: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    RelativePositionBias: lambda bias: SquarePositionTable(bias, torch.float32),
    PositionalConv: lambda pos_conv: FoldedPositionalConv(pos_conv, torch.float32),
    nn.MultiheadAttention: ExportedSelfAttention,
    LogMel: ExportedLogMel,
}
