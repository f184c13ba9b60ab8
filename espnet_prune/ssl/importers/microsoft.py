"""WavLM as Microsoft and s3prl publish it: one pickle, ``{"cfg": config, "model": weights}``.

The code that belongs to these files is https://github.com/microsoft/unilm/tree/master/wavlm.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet_prune.ssl.config import ConvLayerConfig, SSLConfig, TransformerLayerConfig
from espnet_prune.ssl.importers.conversion import Table, build_encoder, convert_config
from espnet_prune.ssl.importers.pickles import check_state, load_pickle
from espnet_prune.ssl.model import SSLEncoder
from espnet_prune.ssl.safetensors import CheckpointError

_TABLE: Table = {
    "front_end.conv_layers.N.conv": "feature_extractor.conv_layers.N.0",
    "front_end.conv_layers.N.norm": "feature_extractor.conv_layers.N.2",
    "front_end.norm": "layer_norm",
    "front_end.projection": "post_extract_proj",
    "pos_conv.conv": "encoder.pos_conv.0",
    "pos_conv.conv.parametrizations.weight.original0": "encoder.pos_conv.0.weight_g",
    "pos_conv.conv.parametrizations.weight.original1": "encoder.pos_conv.0.weight_v",
    "position_bias.table": "encoder.layers.0.self_attn.relative_attention_bias",
    "norm": "encoder.layer_norm",
    "layers.N.attention.qkv": (
        "encoder.layers.N.self_attn.q_proj",
        "encoder.layers.N.self_attn.k_proj",
        "encoder.layers.N.self_attn.v_proj",
    ),
    "layers.N.attention.position_gate.linear": "encoder.layers.N.self_attn.grep_linear",
    "layers.N.attention.position_gate.scale": "encoder.layers.N.self_attn.grep_a",
    "layers.N.attention.out_proj": "encoder.layers.N.self_attn.out_proj",
    "layers.N.attention_norm": "encoder.layers.N.self_attn_layer_norm",
    "layers.N.feed_forward.fc1": "encoder.layers.N.fc1",
    "layers.N.feed_forward.fc2": "encoder.layers.N.fc2",
    "layers.N.ffn_norm": "encoder.layers.N.final_layer_norm",
}
_LAYER_NORM_ROW: Table = {
    "front_end.conv_layers.N.norm": "feature_extractor.conv_layers.N.2.1",
}
_DROPPED = {
    "mask_emb": "stands for masked frames in pre-training",
    "final_proj": "predicts the units of pre-training",
    "label_embs_concat": "holds the units of pre-training",
}
_SUPPORTED = {"activation_fn": "gelu", "relative_position_embedding": True, "gru_rel_pos": True}
# The original's own; the Base files have no such key.
_DEFAULTS = {"normalize": False}
_CONV_NORMS = {"default": "group", "layer_norm": "layer"}


def import_microsoft(path: Path) -> SSLEncoder:
    """Read a ``WavLM-Base+.pt`` or its like.

    Raises:
        CheckpointError: the file is damaged, unsafe, of another kind or not supported.
    """
    checkpoint = load_pickle(path)
    if not (isinstance(checkpoint, dict) and isinstance(checkpoint.get("cfg"), dict)):
        raise CheckpointError(
            f"{path}: expected a WavLM file with 'cfg' and 'model', found "
            f"{list(checkpoint)[:8] if isinstance(checkpoint, dict) else type(checkpoint).__name__}"
        )
    config = convert_config({**_DEFAULTS, **checkpoint["cfg"]}, _SUPPORTED, _config, path)
    table = {**_TABLE, **_LAYER_NORM_ROW} if config.conv_norm == "layer" else _TABLE
    state = check_state(checkpoint.get("model"), path)
    return build_encoder(config, state, table, _DROPPED, path)


def _config(cfg: Mapping[str, Any]) -> SSLConfig:
    # Dropped: encoder_layerdrop and feature_grad_mult (training of the original only), mask_*
    # (pre-training), dropout_features (the original's forward never uses it).
    heads, mode = cfg["encoder_attention_heads"], cfg["extractor_mode"]
    layer = TransformerLayerConfig(tuple(range(heads)), cfg["encoder_ffn_embed_dim"])
    return SSLConfig(
        family="wavlm",
        conv_layers=_conv_layers(cfg["conv_feature_layers"]),
        conv_norm=_CONV_NORMS.get(mode, mode),
        conv_bias=cfg["conv_bias"],
        embed_dim=cfg["encoder_embed_dim"],
        num_heads=heads,
        head_dim=cfg["encoder_embed_dim"] // heads,
        layers=(layer,) * cfg["encoder_layers"],
        norm_first=cfg["layer_norm_first"],
        pos_conv_kernel=cfg["conv_pos"],
        pos_conv_groups=cfg["conv_pos_groups"],
        normalize_waveform=cfg["normalize"],
        num_buckets=cfg["num_buckets"],
        max_distance=cfg["max_distance"],
        projection_dropout=cfg["dropout_input"],
        attention_dropout=cfg["attention_dropout"],
        ffn_dropout=cfg["activation_dropout"],
        hidden_dropout=cfg["dropout"],
    )


def _conv_layers(text: str) -> tuple[ConvLayerConfig, ...]:
    """Read ``[(512,10,5)] + [(512,3,2)] * 4``, which the original evaluates as Python."""
    layers: list[tuple[int, int, int]] = []
    try:
        for term in text.split("+"):
            shapes, _, times = term.partition("*")
            layers += ast.literal_eval(shapes.strip()) * int(times or 1)
        return tuple(ConvLayerConfig(*shape) for shape in layers)
    except (SyntaxError, TypeError, ValueError) as error:
        raise ValueError(f"conv_feature_layers {text!r} is no list of convolutions") from error
