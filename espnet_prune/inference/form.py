"""Derive the inference form of an encoder by replacing its parts, one kind at a time."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from espnet_prune.encoder.attention import Attention, RelativePositionBias
from espnet_prune.encoder.front_end import FrontEnd, StridedConv
from espnet_prune.encoder.model import SSLEncoder
from espnet_prune.encoder.transformer import FeedForward, PositionalConv
from espnet_prune.encoder.typed import ConfigError
from espnet_prune.inference.attention import InferenceAttention, PositionTable
from espnet_prune.inference.front_end import (
    FoldedPositionalConv,
    FourierPositionalConv,
    InferenceFrontEnd,
    PackedConv,
)
from espnet_prune.inference.linear import InferenceFeedForward, has_instructions, linear_maker
from espnet_prune.inference.names import DTYPES

PRECISIONS: dict[str, torch.dtype] = {name: getattr(torch, of) for name, of in DTYPES.items()}
"""Names of what :func:`inference_form` takes as ``dtype``."""


def fast_dtype(precision: str, device: torch.device | str = "cpu") -> torch.dtype:
    """The dtype that ``precision`` names, or float32 on a CPU that has no instructions for it.

    Such a CPU emulates bfloat16 and float16 and is slower in them than in float32; a warning says
    once that it computes in float32.

    Example:
        >>> from espnet_prune.inference import fast_dtype
        >>> fast_dtype("float32")
        torch.float32
        >>> fast_dtype("bfloat16", device="cuda")
        torch.bfloat16
    """
    dtype = PRECISIONS[precision]
    if torch.device(device).type != "cpu" or has_instructions(dtype):
        return dtype
    _warn_once(
        f"this processor has no instructions for {precision}, in which it would be slower than "
        "in float32: computing in float32"
    )
    return torch.float32


_warn_once = cache(logging.getLogger(__name__).warning)


def inference_form(encoder: SSLEncoder, dtype: torch.dtype = torch.float32) -> SSLEncoder:
    """Derive the form of ``encoder``, on the device where it will run, that is for inference alone.

    It is an encoder in eval mode, which takes float32 waveforms and no masks, and gives hidden
    states of ``dtype`` (float32 for qint8). It shares what memory it can with ``encoder``: derive
    it anew when that has changed.

    Args:
        dtype: float32 gives the same outputs (1e-5); bfloat16 and float16 are faster where the
            device has them (:func:`fast_dtype`). On a CPU, qint8 quantises the Transformer's
            linear maps dynamically and leaves the rest float32.

    Raises:
        ConfigError: a dtype that is none of :data:`PRECISIONS`.

    Example:
        >>> import torch
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.inference import inference_form
        >>> form = inference_form(SSLEncoder.from_pretrained("whisper_tiny_en"))
        >>> form(torch.zeros(1, 16000)).hidden_states[-1].shape
        torch.Size([1, 50, 384])
    """
    if dtype not in PRECISIONS.values():
        raise ConfigError(f"expected a precision of {', '.join(PRECISIONS)}, found {dtype}")
    linear = linear_maker(dtype)
    dtype = torch.float32 if dtype == torch.qint8 else dtype
    replacements: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
        FrontEnd: lambda module: InferenceFrontEnd(module, encoder.config, dtype),
        StridedConv: lambda module: PackedConv(module, dtype),
        PositionalConv: lambda module: (
            FourierPositionalConv(module)
            if module.conv.bias.device.type == "cpu"
            else FoldedPositionalConv(module, dtype)
        ),
        RelativePositionBias: lambda module: PositionTable(module, dtype),
        Attention: lambda module: InferenceAttention(module, linear, dtype),
        FeedForward: lambda module: InferenceFeedForward(module, linear),
    }

    def converted(tensor: Tensor | None) -> nn.Parameter | None:
        return None if tensor is None else nn.Parameter(tensor.to(dtype), False)

    def derive(module: nn.Module) -> nn.Module:
        if type(module) in replacements:
            return replacements[type(module)](module)
        form = copy.copy(module)
        form._parameters = {name: converted(value) for name, value in module._parameters.items()}
        form._modules = {
            name: None if child is None else derive(child)
            for name, child in module._modules.items()
        }
        return form

    with torch.no_grad():
        return cast(SSLEncoder, derive(encoder).eval().requires_grad_(False))
