"""The head for inference: the same outputs, faster, without gradients or padding."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.models.conformer import ConformerLayer

from espnet_prune.inference.linear import MakeLinear, linear_maker

if TYPE_CHECKING:
    from espnet_prune.diarization.head import PowersetHead


class InferenceHead(nn.Module):
    """What :class:`PowersetHead` computes of windows of one length.

    Args:
        head: stays as it is; derive the form anew when that has changed.
        dtype: of its products; float32 gives the same outputs (1e-5).
    """

    def __init__(self, head: PowersetHead, dtype: torch.dtype = torch.float32):
        super().__init__()
        linear = linear_maker(dtype)
        self.dtype = dtype
        self.projection = linear(head.projection.weight, head.projection.bias)
        self.norm = copy.deepcopy(head.norm).to(dtype)
        layers = (cast(ConformerLayer, layer) for layer in head.conformer.conformer_layers)
        self.layers = nn.Sequential(*(_Layer(layer, linear, dtype) for layer in layers))
        self.classifier = linear(head.classifier.weight, head.classifier.bias)
        self.eval().requires_grad_(False)

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(B, L, D)`` to log-probabilities ``(B, L, K)``, float32."""
        x = self.norm(self.projection(features.to(self.dtype)))
        return self.classifier(self.layers(x)).float().log_softmax(dim=-1)


class _Layer(nn.Module):
    """A Conformer layer, ``(B, L, D)`` to the same."""

    def __init__(self, layer: ConformerLayer, linear: MakeLinear, dtype: torch.dtype):
        super().__init__()
        attention = layer.self_attn
        self.heads = attention.num_heads
        self.first = _feed_forward(layer.ffn1, linear, dtype)
        self.attention_norm = copy.deepcopy(layer.self_attn_layer_norm).to(dtype)
        self.input = linear(attention.in_proj_weight, attention.in_proj_bias)
        self.output = linear(attention.out_proj.weight, attention.out_proj.bias)
        self.convolution = _Convolution(layer.conv_module, linear, dtype)
        self.second = _feed_forward(layer.ffn2, linear, dtype)
        self.norm = copy.deepcopy(layer.final_layer_norm).to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.first(x)
        x = x + self._attend(self.attention_norm(x))
        x = x + self.convolution(x)
        return self.norm(x + self.second(x))

    def _attend(self, x: Tensor) -> Tensor:
        qkv = self.input(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.output(F.scaled_dot_product_attention(*qkv).transpose(1, 2).flatten(2))


class _Convolution(nn.Module):
    """Convolution module: pointwise, GLU, depthwise, norm, SiLU, pointwise; channels last."""

    def __init__(self, module: nn.Module, linear: MakeLinear, dtype: torch.dtype):
        super().__init__()
        widen, _, depthwise, norm, _, narrow, _ = cast(Any, module.sequential)
        self.before = copy.deepcopy(cast(nn.LayerNorm, module.layer_norm)).to(dtype)
        self.widen = linear(widen.weight[..., 0], widen.bias)
        self.narrow = linear(narrow.weight[..., 0], narrow.bias)
        weight = depthwise.weight.detach().to(dtype)[:, :, None]
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.bias = depthwise.bias.detach().to(dtype)
        self.norm = copy.deepcopy(norm).to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        y = F.glu(self.widen(self.before(x)), dim=-1).transpose(1, 2)  # B, D, L
        padding = (0, self.weight.size(-1) // 2)
        # As an image of one row: PyTorch's 1-D convolution takes six times as long on a CPU.
        y = F.conv2d(y[:, :, None], self.weight, self.bias, padding=padding, groups=y.size(1))
        return self.narrow(F.silu(self.norm(y[:, :, 0])).transpose(1, 2))


def _feed_forward(module: nn.Module, linear: MakeLinear, dtype: torch.dtype) -> nn.Sequential:
    """Norm, linear, SiLU and linear, whose result counts half."""
    norm, widen, _, _, narrow, _ = cast(Any, module.sequential)
    return nn.Sequential(
        copy.deepcopy(norm).to(dtype),
        linear(widen.weight, widen.bias, "swish"),
        linear(narrow.weight / 2, narrow.bias / 2),
    )
