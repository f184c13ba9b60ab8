"""From masks to a physically smaller model, as a pure function of config, weights and masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from espnet_prune.encoder import (
    ConvLayerConfig,
    Masks,
    SSLConfig,
    TransformerLayerConfig,
    open_masks,
)
from espnet_prune.encoder.checks import require_finite
from espnet_prune.encoder.config import MAPS

State = dict[str, Tensor]


def apply(
    config: SSLConfig, state_dict: Mapping[str, Tensor], masks: Masks
) -> tuple[SSLConfig, State]:
    """Cut the closed units away and fold the open ones' values into the next linear map.

    The smaller model's output equals the masked model's, in every family and norm order.

    Raises:
        CheckpointError: a mask is not finite.
        ValueError: a convolution would keep no channel.

    Example:
        >>> from espnet_prune import SSLEncoder, open_masks
        >>> from espnet_prune.pruning import apply
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> masks = open_masks(encoder.config)
        >>> masks.ffn[0][:512] = 0
        >>> config, state = apply(encoder.config, encoder.state_dict(), masks)
        >>> [layer.ffn for layer in config.layers]
        [1024, 1536, 1536, 1536]
    """
    for unit, values in masks._asdict().items():
        require_finite({f"{unit}.{i}": m for i, m in enumerate(values) if m is not None}, "masks")
    state = {name: tensor.detach().clone() for name, tensor in state_dict.items()}
    full = open_masks(config)
    conv_layers = _cut_front_end(config, state, _filled(masks.conv, full.conv))
    units = (_filled(given, default) for given, default in zip(masks[1:], full[1:], strict=True))
    layers = tuple(
        _cut_layer(config, state, index, *masks_of_layer)
        for index, masks_of_layer in enumerate(zip(*units, strict=True))
    )
    return replace(config, conv_layers=conv_layers, layers=layers), state


def _filled(masks: tuple[Tensor | None, ...], default: tuple[Tensor | None, ...]) -> list[Tensor]:
    chosen = (d if m is None else m for m, d in zip(masks, default, strict=True))
    return [mask.detach() for mask in chosen if mask is not None]


def _kept(mask: Tensor) -> Tensor:
    return (mask > 0).nonzero().squeeze(1)


def _original(before: tuple[int, ...] | None, kept: Tensor, size: int) -> tuple[int, ...] | None:
    """The dense model's indices of the kept ones of ``size`` units; None while all are there."""
    if before is None and len(kept) == size:
        return None
    return tuple(kept.tolist() if before is None else (before[i] for i in kept.tolist()))


def _keep(state: State, prefix: str, names: tuple[str, ...], units: Tensor) -> None:
    """Keep the rows ``units`` of those tensors that are there."""
    for name in (f"{prefix}.{name}" for name in names):
        if name in state:
            state[name] = state[name][units]


def _cut_front_end(
    config: SSLConfig, state: State, masks: list[Tensor]
) -> tuple[ConvLayerConfig, ...]:
    values_before = masks[0].new_ones(config.rules.input_channels(config))
    kept_before = _kept(values_before)
    layers = []
    for index, (layer, mask) in enumerate(zip(config.conv_layers, masks, strict=True)):
        prefix = f"front_end.conv_layers.{index}"
        kept = _kept(mask)
        if not len(kept):
            raise ValueError(
                f"the masks close all {layer.channels} channels of convolution {index}; "
                "keep at least one"
            )
        weight = state[f"{prefix}.conv.weight"][:, kept_before]
        state[f"{prefix}.conv.weight"] = weight * values_before[:, None]
        _keep(state, prefix, ("conv.weight", "conv.bias", "norm.weight", "norm.bias"), kept)
        layers.append(
            replace(layer, channels=len(kept), kept=_original(layer.kept, kept, layer.channels))
        )
        kept_before, values_before = kept, mask[kept]
    _keep(state, "front_end", ("scale", "norm.weight", "norm.bias"), kept_before)
    projection = state["front_end.projection.weight"].transpose(1, -1)[..., kept_before]
    state["front_end.projection.weight"] = (projection * values_before).transpose(1, -1)
    return tuple(layers)


def _cut_layer(
    config: SSLConfig,
    state: State,
    index: int,
    head: Tensor,
    ffn: Tensor,
    attention_layer: Tensor,
    ffn_layer: Tensor,
    rank: Tensor,
) -> TransformerLayerConfig:
    shape = config.layers[index]
    prefix = f"layers.{index}"
    heads, units = _kept(head * attention_layer), _kept(ffn * ffn_layer)
    if shape.heads:
        _cut_attention(config, state, f"{prefix}.attention", heads, head, attention_layer)
    else:
        state[f"{prefix}.attention.bias"] *= attention_layer
    if shape.ffn:
        _cut_ffn(state, f"{prefix}.feed_forward", units, ffn, ffn_layer)
    else:
        state[f"{prefix}.feed_forward.bias"] *= ffn_layer
    each = zip(MAPS, rank.split(shape.map_ranks), strict=True)
    ranks = tuple(_cut_ranks(state, f"{prefix}.{name}", mask) for name, mask in each)
    return TransformerLayerConfig(
        heads=tuple(shape.heads[i] for i in heads.tolist()),
        ffn=len(units),
        ffn_kept=_original(shape.ffn_kept, units, shape.ffn),
        ranks=ranks if any(ranks) else None,
    )


def _cut_attention(
    config: SSLConfig, state: State, prefix: str, heads: Tensor, mask: Tensor, gate: Tensor
) -> None:
    if not len(heads):
        _leave_bias(state, prefix, "out_proj", gate)
        return
    size = config.head_dim
    weight = state[f"{prefix}.qkv.weight"]
    inputs = weight.size(1)
    weight = weight.view(3, -1, size, inputs)[:, heads]
    state[f"{prefix}.qkv.weight"] = weight.reshape(-1, inputs)
    bias = state[f"{prefix}.qkv.bias"].view(-1, len(mask), size)[:, heads]
    state[f"{prefix}.qkv.bias"] = bias.reshape(-1)
    values = (mask * gate).repeat_interleave(size)
    _cut_inputs(state, f"{prefix}.out_proj", values, _kept(values))
    state[f"{prefix}.out_proj.bias"] *= gate
    _keep(state, prefix, ("position_gate.scale",), heads)


def _cut_ffn(state: State, prefix: str, units: Tensor, mask: Tensor, gate: Tensor) -> None:
    if not len(units):
        _leave_bias(state, prefix, "fc2", gate)
        return
    _keep(state, prefix, ("fc1.weight", "fc1.bias"), units)
    _cut_inputs(state, f"{prefix}.fc2", mask * gate, units)
    state[f"{prefix}.fc2.bias"] *= gate


def _cut_inputs(state: State, name: str, values: Tensor, kept: Tensor) -> None:
    """Keep some inputs of a linear map, times the ``values`` of their masks."""
    inner = f"{name}.inner.weight"
    first = inner if inner in state else f"{name}.weight"
    state[first] = state[first][:, kept] * values[kept]


def _cut_ranks(state: State, name: str, mask: Tensor) -> int:
    """Cut what passes between two thin maps, and return how much is left; 0 of one matrix.

    Thin maps that save nothing become one, others keep a direction, be it of zeros.
    """
    if (inner := state.pop(f"{name}.inner.weight", None)) is None:
        return 0
    weight, kept = state[f"{name}.weight"] * mask, _kept(mask)
    kept = kept if len(kept) else kept.new_zeros(1)
    if len(kept) * (len(weight) + inner.size(1)) >= len(weight) * inner.size(1):
        state[f"{name}.weight"] = (weight.double() @ inner.double()).to(weight)
        return 0
    state[f"{name}.weight"], state[f"{name}.inner.weight"] = weight[:, kept], inner[kept]
    return len(kept)


def _leave_bias(state: State, prefix: str, output: str, gate: Tensor) -> None:
    """An emptied sublayer keeps its output bias, scaled by the sublayer's own gate."""
    bias = state[f"{prefix}.{output}.bias"] * gate
    for name in [name for name in state if name.startswith(f"{prefix}.")]:
        del state[name]
    state[f"{prefix}.bias"] = bias
