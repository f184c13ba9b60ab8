"""The step in the way of DPHuBERT's and DiariZen's public code, rebuilt on torchaudio's models.

No line is theirs. Read in their code: student and teacher run the training form, the teacher as a
whole. A gate is a module at its place, sampled in every pass: on the channels of a convolution
after norm and GELU, on heads before the output's map, on the FFN's units after GELU and dropout.
Attention makes all scores, with a map each for queries, keys and values; WavLM's bias of positions
is looked up anew, repeated over the batch, gated for every head in every layer, and indexed by a
list of heads. Frozen ones multiply the last convolution. States are stacked for L1 distance and
cosine; the expected size is a closed form. DPHuBERT projects the student's states, the first by one
map and the others by another; its first is that before the positions. DiariZen takes it behind
them, projects none, scales the gradient of the convolutions by 0.1, and trains in float32.
Reconstruction: the order of all else, and float32 for DPHuBERT, which trains in float16 on GPUs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peers import torchaudio_model
from espnet_prune.distillation import LayerwiseDistillation
from espnet_prune.encoder import SSLEncoder
from espnet_prune.pruning import HardConcrete


class Way(NamedTuple):
    """Families that train so, whether states are projected, the scale of convolutions' gradient."""

    families: Sequence[str]
    projected: bool
    gradient: float


WAYS = {
    "DPHuBERT's way": Way(("wavlm", "hubert", "wav2vec2"), True, 1.0),
    "DiariZen's way": Way(("wavlm",), False, 0.1),
}


class Attention(nn.Module):
    """torchaudio's ``inner`` attention with all scores at once, and a gate for each head."""

    def __init__(self, inner: Any, gate: HardConcrete | None):
        super().__init__()
        self.inner, self.gate, self.heads = inner, gate, list(range(inner.num_heads))

    def forward(
        self, x: Tensor, _: None = None, position_bias: Tensor | None = None, **__: Any
    ) -> tuple[Tensor, Tensor | None]:
        """Frames ``(B, L, D)`` to ``(B, L, D)``, and the bias ``(B, H, L, L)`` for all layers."""
        inner, split = self.inner, (*x.shape[:2], len(self.heads), -1)
        joint = inner.attention if (wavlm := hasattr(inner, "rel_attn_embed")) else inner
        if wavlm:
            maps = (each.chunk(3) for each in (joint.in_proj_weight, joint.in_proj_bias))
            pairs = [*zip(*maps, strict=True)]
        else:
            pairs = [(m.weight, m.bias) for m in (inner.q_proj, inner.k_proj, inner.v_proj)]
        q, k, v = (F.linear(x, *pair).view(split).transpose(1, 2) for pair in pairs)
        scores = (q * inner.head_dim**-0.5) @ k.transpose(2, 3)
        if wavlm:
            if position_bias is None:
                position_bias = inner.compute_bias(x.size(1), x.size(1)).repeat(len(x), 1, 1, 1)
            sums = inner.gru_rel_pos_linear(x.view(split)).unflatten(-1, (2, 4)).sum(-1)
            a, b = torch.sigmoid(sums).transpose(1, 2).unbind(-1)
            factor = a * (b * inner.gru_rel_pos_const[..., 0] - 1) + 2
            scores = scores + (factor[..., None] * position_bias)[:, self.heads]
        weights = (scores - scores.amax(-1, keepdim=True)).softmax(-1)
        y = F.dropout(weights, inner.dropout, self.training) @ v
        y = y if self.gate is None else y * self.gate.sample()[:, None, None]
        return joint.out_proj(y.transpose(1, 2).flatten(2)), position_bias


class Model(nn.Module):
    """torchaudio's model of ``encoder``, with gates inside if it is to be pruned."""

    def __init__(self, encoder: SSLEncoder, gated: bool):
        super().__init__()
        self.inner: Any = torchaudio_model(encoder)
        self.blocks = self.inner.feature_extractor.conv_layers
        self.layers = self.inner.encoder.transformer.layers
        self.scale = nn.Buffer(torch.ones(self.blocks[-1].conv.out_channels))
        for layer in self.layers:
            gate = HardConcrete(layer.attention.num_heads, 0.01) if gated else None
            layer.attention = Attention(layer.attention, gate)
            if gated:
                second = layer.feed_forward.output_dense
                second.gate = HardConcrete(second.in_features, 0.5)
                second.register_forward_pre_hook(lambda m, x: (x[0] * m.gate.sample(),))
        for block in self.blocks if gated else ():
            block.gate = HardConcrete(block.conv.out_channels, 0.01)
            block.register_forward_hook(lambda m, _, y: (y[0] * m.gate.sample()[:, None], y[1]))

    def states(self, wavs: Tensor, way: Way) -> list[Tensor]:
        """N + 1 hidden states ``(B, L, D)`` of waveforms ``(B, T)``."""
        x, _ = self.inner.feature_extractor(wavs, None)
        if x.requires_grad:
            x.register_hook(lambda gradient: gradient * way.gradient)
        first = self.inner.encoder.feature_projection(x * self.scale)
        y, bias = self.inner.encoder.transformer._preprocess(first), None
        states = [first if way.projected else y]
        for layer in self.layers:
            y, bias = layer(y, None, position_bias=bias)
            states.append(y)
        return states

    def expected_size(self) -> Tensor:
        """Parameters that the gates leave, and the ones; without those of WavLM's bias."""
        encoder, before = self.inner.encoder, self.scale.new_ones(())
        fixed = encoder.transformer.pos_conv_embed, encoder.transformer.layer_norm
        size = before * sum(p.numel() for part in fixed for p in part.parameters())
        for block in self.blocks:
            own = block.gate.open_probability().sum()
            once = (block.conv.bias is not None) + 2 * (block.layer_norm is not None)
            size, before = size + own * (before * block.conv.kernel_size[0] + once), own
        width = encoder.feature_projection.projection.out_features
        size = size + 3 * before + (before + 1) * width
        for layer in self.layers:
            heads = layer.attention.gate.open_probability().sum() * layer.attention.inner.head_dim
            units = layer.feed_forward.output_dense.gate.open_probability().sum()
            size = size + (width + 1) * (3 * heads + units) + (heads + units + 6) * width
        return size


class Pair(nn.Module):
    """A student and a teacher of the weights of ``encoder``, whose ``layers`` are distilled."""

    def __init__(self, encoder: SSLEncoder, layers: Sequence[int]):
        super().__init__()
        self.student = Model(encoder, gated=True).train()
        self.teacher = Model(encoder, gated=False).eval().requires_grad_(False)
        self.layers, width = layers, encoder.config.embed_dim
        self.maps = LayerwiseDistillation(layers, 1, 1, [layers[:1], layers[1:]], width).projections
        self.multipliers = nn.Parameter(torch.zeros(2))
        self.full = sum(parameter.numel() for parameter in self.teacher.parameters())

    def loss(self, wavs: Tensor, way: Way) -> Tensor:
        """That of a step ``()``, on waveforms ``(B, T)``."""
        with torch.no_grad():
            theirs = self.teacher.states(wavs, way)
        ours = self.student.states(wavs, way)
        mapped = [self.maps[min(i, 1)](ours[i]) if way.projected else ours[i] for i in self.layers]
        x, y = torch.stack(mapped, 1), torch.stack([theirs[i] for i in self.layers], 1)
        excess = 1 - self.student.expected_size() / self.full - 0.1  # early on the ramp
        penalty = self.multipliers[0] * excess + self.multipliers[1] * excess**2
        return F.l1_loss(x, y) - F.cosine_similarity(x, y, dim=-1).mean() + penalty
