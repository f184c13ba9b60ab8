"""DPHuBERT's format and what it computes, straight from its description: no module of ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.encoders import NORMS

Config = dict[str, Any]
State = dict[str, Tensor]

POS_CONV, WEIGHT = "encoder.transformer.pos_conv_embed.conv", "parametrizations.weight.original"
SCALE = "feature_extractor.dummy_weight"
TABLE = "encoder.transformer.layers.0.attention.rel_attn_embed.weight"

# Layers of a small pruned model: kept heads out of four, FFN units.
LAYERS = (((0, 2, 3), 12), ((1,), 9), ((), 7), ((0, 3), 0), ((0, 1, 2, 3), 12))
HEADLESS = (LAYERS[2], *LAYERS)  # without the first attention, the bucket table is gone


def dphubert_config(
    family: str, size: str, layers: Sequence[tuple[Sequence[int], int]] = LAYERS, **changes: Any
) -> Config:
    """The config of a small model, the WavLM or the HuBERT kind, without its ``prune`` flags."""
    conv_norm, norm_first = NORMS[size]
    config: Config = dict(
        extractor_mode=f"{conv_norm}_norm",
        extractor_conv_layer_config=[(14, 10, 5), (18, 3, 2), (15, 3, 2), (11, 2, 2)],
        extractor_conv_bias=size in ("large", "group_pre") and family != "wavlm",
        encoder_embed_dim=32,
        encoder_projection_dropout=0.4,
        encoder_pos_conv_kernel=8 if norm_first else 7,
        encoder_pos_conv_groups=4,
        encoder_num_layers=len(layers),
        encoder_use_attention=[bool(heads) for heads, _ in layers],
        encoder_use_feed_forward=[bool(ffn) for _, ffn in layers],
        encoder_attention_dropout=0.2,
        encoder_ff_interm_features=[ffn for _, ffn in layers],
        encoder_ff_interm_dropout=0.3,
        encoder_dropout=0.1,
        encoder_layer_norm_first=norm_first,
        encoder_layer_drop=0.05,
        aux_num_out=None,
        normalize_waveform=conv_norm == "layer",
    )
    if family == "wavlm":
        config.update(
            encoder_total_num_heads=[4] * len(layers),
            encoder_remaining_heads=[list(heads) for heads, _ in layers],
            encoder_num_buckets=32,
            encoder_max_distance=64,
        )
    else:
        config.update(encoder_num_heads=[len(heads) for heads, _ in layers], encoder_head_dim=8)
    return {**config, **changes}


def dphubert_state(config: Config, seed: int = 2) -> State:
    """Random weights, some around 1, under the names and in the shapes of ``config``."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in _shapes(config).items():
        scale = 0.7 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.1
        around_one = name.endswith(("norm.weight", "original0", "dummy_weight", "const"))
        state[name] = around_one + scale * torch.randn(shape, generator=generator)
    return state


def _shapes(config: Config) -> dict[str, tuple[int, ...]]:
    channels, shapes = 1, {}
    for index, (width, kernel, _) in enumerate(config["extractor_conv_layer_config"]):
        block = f"feature_extractor.conv_layers.{index}"
        shapes[f"{block}.conv.weight"] = (width, channels, kernel)
        if config["extractor_conv_bias"]:
            shapes[f"{block}.conv.bias"] = (width,)
        if config["extractor_mode"] == "layer_norm" or index == 0:
            shapes |= _affine(f"{block}.layer_norm", width)
        channels = width
    shapes[SCALE] = (channels,)
    width, kernel = config["encoder_embed_dim"], config["encoder_pos_conv_kernel"]
    shapes |= _affine("encoder.feature_projection.layer_norm", channels)
    shapes |= _affine("encoder.feature_projection.projection", width, channels)
    shapes[f"{POS_CONV}.bias"] = (width,)
    shapes[f"{POS_CONV}.{WEIGHT}0"] = (1, 1, kernel)
    shapes[f"{POS_CONV}.{WEIGHT}1"] = (width, width // config["encoder_pos_conv_groups"], kernel)
    shapes |= _affine("encoder.transformer.layer_norm", width)
    for index in range(config["encoder_num_layers"]):
        shapes |= _layer_shapes(config, index, width)
    return shapes


def _layer_shapes(config: Config, index: int, width: int) -> dict[str, tuple[int, ...]]:
    layer = f"encoder.transformer.layers.{index}"
    shapes = {
        **_affine(f"{layer}.layer_norm", width),
        **_affine(f"{layer}.final_layer_norm", width),
    }
    if config["encoder_use_feed_forward"][index]:
        units = config["encoder_ff_interm_features"][index]
        shapes |= _affine(f"{layer}.feed_forward.intermediate_dense", units, width)
        shapes |= _affine(f"{layer}.feed_forward.output_dense", width, units)
    if not config["encoder_use_attention"][index]:
        return shapes
    wavlm = "encoder_remaining_heads" in config
    if wavlm:
        total = config["encoder_total_num_heads"][index]
        inner = width // total * len(config["encoder_remaining_heads"][index])
        shapes |= _affine(f"{layer}.attention.gru_rel_pos_linear", 8, width // total)
        shapes[f"{layer}.attention.gru_rel_pos_const"] = (1, total, 1, 1)
        if index == 0:
            shapes[TABLE] = (config["encoder_num_buckets"], total)
    else:
        inner = config["encoder_head_dim"] * config["encoder_num_heads"][index]
    for name in "qkv":
        shapes |= _affine(f"{layer}.attention.{name}_proj", inner, width)
    return shapes | _affine(f"{layer}.attention.out_proj", width, inner)


def _affine(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


class Reference:
    """What DiariZen's ``extract_features`` computes of ``config`` and ``state``.

    Args:
        config, state: as in a file, with the new spelling of the weight norm.
    """

    def __init__(self, config: Config, state: State):
        self.config, self.state = config, state

    def __call__(self, wavs: Sequence[Tensor]) -> list[Tensor]:
        """A waveform ``(T,)`` alone to N + 1 states ``(1, L, D)``."""
        (wav,) = wavs
        x = self._frames(wav[None, None])
        x = x + self._positions(x)
        if not self.config["encoder_layer_norm_first"]:
            x = self._norm(x, "encoder.transformer.layer_norm")
        states = [x]
        bias = self._position_bias(x.size(1))
        for index in range(self.config["encoder_num_layers"]):
            states.append(self._layer(states[-1], index, bias))
        return states

    def _frames(self, x: Tensor) -> Tensor:
        if self.config["normalize_waveform"]:
            x = F.layer_norm(x, x.shape)
        for index, (_, _, stride) in enumerate(self.config["extractor_conv_layer_config"]):
            block = f"feature_extractor.conv_layers.{index}"
            weight, bias = self.state[f"{block}.conv.weight"], self.state.get(f"{block}.conv.bias")
            x = F.conv1d(x, weight, bias, stride)
            if self.config["extractor_mode"] == "layer_norm":
                x = self._norm(x.transpose(1, 2), f"{block}.layer_norm").transpose(1, 2)
            elif index == 0:
                scale, shift = (self.state[f"{block}.layer_norm.{k}"] for k in ("weight", "bias"))
                x = F.group_norm(x, len(scale), scale, shift)
            x = F.gelu(x)
        x = x.transpose(1, 2) * self.state[SCALE]
        x = self._norm(x, "encoder.feature_projection.layer_norm")
        return self._linear(x, "encoder.feature_projection.projection")

    def _positions(self, x: Tensor) -> Tensor:
        gain, direction = (self.state[f"{POS_CONV}.{WEIGHT}{k}"] for k in "01")
        weight = gain * direction / direction.square().sum((0, 1), keepdim=True).sqrt()
        groups = self.config["encoder_pos_conv_groups"]
        bias, padding = self.state[f"{POS_CONV}.bias"], gain.numel() // 2
        y = F.conv1d(x.transpose(1, 2), weight, bias, padding=padding, groups=groups)
        return F.gelu(y[..., : x.size(1)]).transpose(1, 2)

    def _position_bias(self, frames: int) -> Tensor | None:
        """``(H, L, L)`` for the heads of the dense model; None: the table was pruned away."""
        if TABLE not in self.state:
            return None
        half, far = self.config["encoder_num_buckets"] // 2, self.config["encoder_max_distance"]
        exact = half // 2
        offsets = torch.arange(frames)[None] - torch.arange(frames)[:, None]
        distance = offsets.abs()
        growth = torch.log(distance / exact) / math.log(far / exact) * (half - exact)
        large = exact + growth.clamp(0, half - exact - 1).long()
        buckets = torch.where(distance < exact, distance, large) + half * (offsets > 0)
        return self.state[TABLE][buckets].permute(2, 0, 1)

    def _layer(self, x: Tensor, index: int, bias: Tensor | None) -> Tensor:
        layer, norm_first = (
            f"encoder.transformer.layers.{index}",
            self.config["encoder_layer_norm_first"],
        )
        y = self._norm(x, f"{layer}.layer_norm") if norm_first else x
        if self.config["encoder_use_attention"][index]:
            x = x + self._attention(y, index, f"{layer}.attention", bias)
        if not norm_first:
            x = self._norm(x, f"{layer}.layer_norm")
        y = self._norm(x, f"{layer}.final_layer_norm") if norm_first else x
        if self.config["encoder_use_feed_forward"][index]:
            inner = F.gelu(self._linear(y, f"{layer}.feed_forward.intermediate_dense"))
            x = x + self._linear(inner, f"{layer}.feed_forward.output_dense")
        return x if norm_first else self._norm(x, f"{layer}.final_layer_norm")

    def _attention(self, x: Tensor, index: int, name: str, bias: Tensor | None) -> Tensor:
        if "encoder_remaining_heads" in self.config:
            total = self.config["encoder_total_num_heads"][index]
            size = x.size(-1) // total
        else:
            size = self.config["encoder_head_dim"]
        q, k, v = (self._linear(x, f"{name}.{n}_proj").unflatten(-1, (-1, size)) for n in "qkv")
        scores = torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(size)
        if bias is not None:
            gates = self._linear(x.unflatten(-1, (total, size)), f"{name}.gru_rel_pos_linear")
            update, reset = gates.unflatten(-1, (2, 4)).sum(-1).sigmoid().permute(3, 0, 2, 1)
            constant = self.state[f"{name}.gru_rel_pos_const"].flatten()[:, None]
            gated = (update * (reset * constant - 1) + 2)[..., None] * bias
            scores = scores + gated[:, self.config["encoder_remaining_heads"][index]]
        y = torch.einsum("bhij,bjhd->bihd", scores.softmax(-1), v)
        return self._linear(y.flatten(2), f"{name}.out_proj")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(
            x, x.shape[-1:], self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        )
