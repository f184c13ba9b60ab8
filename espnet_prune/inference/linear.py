"""Linear maps in the layout and precision that the processor wants, with an activation behind."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_prune.encoder.linear import Linear
from espnet_prune.encoder.transformer import FeedForward

MakeLinear = Callable[..., nn.Module]
"""Turns weight, bias and the activation that follows, if any, into a module for inference."""

# By oneDNN's names: what it computes approximately if asked, and PyTorch's own.
_ACTIVATIONS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "none": ("", lambda y: y),
    "gelu": ("none", F.gelu),
    "swish": ("", F.silu),
}


def linear_maker(dtype: torch.dtype) -> MakeLinear:
    """What turns linear maps into those of ``dtype``; ``torch.qint8`` is dynamic quantisation."""
    return Int8Linear if dtype == torch.qint8 else partial(PackedLinear, dtype=dtype)


class PackedLinear(nn.Module):
    """``weight @ x + bias``, then one of ``none``, ``gelu`` and ``swish``.

    On a CPU this is oneDNN's product on weights reordered once, as ``torch.compile`` emits it;
    ``F.linear`` goes to the BLAS in float32, which is up to twice as slow.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        activation: str = "none",
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        self.activation = activation
        self.algorithm, self.activate = _ACTIVATIONS[activation]
        self.weight = weight.detach().to(dtype)
        self.bias = None if bias is None else bias.detach().to(dtype)
        self.packed = self.weight.device.type == "cpu" and _has_onednn(dtype)
        if self.packed:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., in)`` to ``(..., out)``."""
        if self.packed:
            return torch.ops.mkldnn._linear_pointwise(
                x, self.weight, self.bias, self.activation, [], self.algorithm
            )
        return self.activate(F.linear(x, self.weight, self.bias))


class Int8Linear(nn.Module):
    """Dynamic quantisation on a CPU: int8 weights per output, inputs quantised as they come."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None, activation: str = "none"):
        super().__init__()
        self.activate = _ACTIVATIONS[activation][1]
        weight = weight.detach().float().contiguous()
        scales = weight.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / 127
        zeros = torch.zeros(len(scales), dtype=torch.long)
        with warnings.catch_warnings():
            # Deprecated from torch 2.14 on, where only torchao, a package of its own, replaces it.
            warnings.filterwarnings("ignore", ".*quantized tensor creation functions")
            quantised = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        bias = None if bias is None else bias.detach().float()
        self.packed = torch.ops.quantized.linear_prepack(quantised, bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., in)`` to ``(..., out)``, in float32."""
        # Without VNNI, x86 processors saturate sums of products of 8 bits: 7 do not.
        y = torch.ops.quantized.linear_dynamic(x, self.packed, reduce_range=not _has_vnni())
        return self.activate(y)


def fast_map(module: Linear, linear: MakeLinear, activation: str = "none") -> nn.Module:
    """What computes a linear map and the ``activation`` behind it: a product, or two thin ones."""
    outer = linear(module.weight, module.full_bias(), activation)
    return outer if module.inner is None else nn.Sequential(linear(module.inner.weight), outer)


class InferenceFeedForward(nn.Sequential):
    """Two maps, the GELU part of the first."""

    def __init__(self, feed_forward: FeedForward, linear: MakeLinear):
        narrow = fast_map(feed_forward.fc2, linear)
        super().__init__(fast_map(feed_forward.fc1, linear, "gelu"), narrow)

    def forward(self, x: Tensor, *_: None) -> Tensor:
        return super().forward(x)


def has_instructions(dtype: torch.dtype) -> bool:
    """Whether this processor computes in ``dtype`` by itself, not in float32 and back."""
    names = {torch.bfloat16: "bf16", torch.float16: "fp16"}
    if dtype not in names:
        return True
    supported = f"_is_mkldnn_{names[dtype]}_supported"
    return torch.backends.mkldnn.is_available() and getattr(torch.ops.mkldnn, supported)()


def _has_onednn(dtype: torch.dtype) -> bool:
    """Whether it computes in ``dtype`` here; PyTorch's own product does on every processor."""
    available = torch.backends.mkldnn.is_available()
    return available and hasattr(torch.ops.mkldnn, "_linear_pointwise") and has_instructions(dtype)


@cache
def _has_vnni() -> bool:
    known = getattr(torch.cpu, "_is_vnni_supported", lambda: False)  # a name of PyTorch's own
    return torch.backends.quantized.engine != "x86" or known()
