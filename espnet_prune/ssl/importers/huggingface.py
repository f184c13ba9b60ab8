"""WavLM as transformers saves it: a folder of ``config.json`` and ``model.safetensors``."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from espnet_prune.ssl.config import ConvLayerConfig, SSLConfig, TransformerLayerConfig
from espnet_prune.ssl.importers.conversion import Table, build_encoder, convert_config
from espnet_prune.ssl.importers.pickles import check_state, load_pickle
from espnet_prune.ssl.model import SSLEncoder
from espnet_prune.ssl.safetensors import CheckpointError, load_file

logger = logging.getLogger(__name__)

FILES = CONFIG, PREPROCESSOR, SAFETENSORS, PICKLE = (
    "config.json",
    "preprocessor_config.json",
    "model.safetensors",
    "pytorch_model.bin",
)

_TABLE: Table = {
    "front_end.conv_layers.N.conv": "feature_extractor.conv_layers.N.conv",
    "front_end.conv_layers.N.norm": "feature_extractor.conv_layers.N.layer_norm",
    "front_end.norm": "feature_projection.layer_norm",
    "front_end.projection": "feature_projection.projection",
    "pos_conv.conv": "encoder.pos_conv_embed.conv",
    "pos_conv.conv.parametrizations.weight": (
        "encoder.pos_conv_embed.conv.parametrizations.weight"
    ),
    "position_bias.table": "encoder.layers.0.attention.rel_attn_embed",
    "norm": "encoder.layer_norm",
    "layers.N.attention.qkv": (
        "encoder.layers.N.attention.q_proj",
        "encoder.layers.N.attention.k_proj",
        "encoder.layers.N.attention.v_proj",
    ),
    "layers.N.attention.position_gate.linear": "encoder.layers.N.attention.gru_rel_pos_linear",
    "layers.N.attention.position_gate.scale": "encoder.layers.N.attention.gru_rel_pos_const",
    "layers.N.attention.out_proj": "encoder.layers.N.attention.out_proj",
    "layers.N.attention_norm": "encoder.layers.N.layer_norm",
    "layers.N.feed_forward.fc1": "encoder.layers.N.feed_forward.intermediate_dense",
    "layers.N.feed_forward.fc2": "encoder.layers.N.feed_forward.output_dense",
    "layers.N.ffn_norm": "encoder.layers.N.final_layer_norm",
}
_OLD_WEIGHT_NORM_ROWS: Table = {
    "pos_conv.conv.parametrizations.weight.original0": "encoder.pos_conv_embed.conv.weight_g",
    "pos_conv.conv.parametrizations.weight.original1": "encoder.pos_conv_embed.conv.weight_v",
}
_DROPPED = {"masked_spec_embed": "stands for masked frames in training"}
_SUPPORTED = {
    "model_type": "wavlm",
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "layer_norm_eps": 1e-5,
    "add_adapter": False,
}
# The original's own; the first versions of transformers had no such key.
_DEFAULTS = {"add_adapter": False}


def import_huggingface(folder: Path) -> SSLEncoder:
    """Read what ``WavLMModel.save_pretrained`` wrote, of any version of transformers.

    Raises:
        CheckpointError: the folder is damaged, unsafe, of another kind or not supported.
    """
    values = {**_DEFAULTS, **read_json(folder / CONFIG)}
    normalize = _normalizes(folder, values)
    config = convert_config(
        values, _SUPPORTED, lambda found: _config(found, normalize), folder / CONFIG
    )
    state, path = _weights(folder)
    old = any(key.endswith(".weight_g") for key in state)
    table = {**_TABLE, **_OLD_WEIGHT_NORM_ROWS} if old else _TABLE
    return build_encoder(config, state, table, _DROPPED, path)


def read_json(path: Path) -> dict[str, Any]:
    """Read the JSON object in ``path``.

    Raises:
        CheckpointError: there is none.
    """
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: expected a JSON file, found none ({error}); pass a folder that holds an "
            f"encoder's {CONFIG} beside its weights"
        ) from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: expected a JSON object, found {type(values).__name__}")
    return values


def _normalizes(folder: Path, values: Mapping[str, Any]) -> bool:
    if (folder / PREPROCESSOR).exists():
        found = read_json(folder / PREPROCESSOR).get("do_normalize")
        if not isinstance(found, bool):
            raise CheckpointError(
                f"{folder / PREPROCESSOR}: expected do_normalize true or false, found {found!r}"
            )
        return found
    normalize = values.get("feat_extract_norm") == "layer"
    logger.info(
        "%s: no %s; waveforms are %s, as in the published models with such a front end",
        folder,
        PREPROCESSOR,
        "normalized" if normalize else "not normalized",
    )
    return normalize


def _weights(folder: Path) -> tuple[Mapping[str, Tensor], Path]:
    if (path := folder / SAFETENSORS).exists():
        return load_file(path), path
    if (path := folder / PICKLE).exists():
        return check_state(load_pickle(path), path), path
    raise CheckpointError(f"{folder}: expected {SAFETENSORS} or {PICKLE}, found neither")


def _config(values: Mapping[str, Any], normalize: bool) -> SSLConfig:
    # Dropped: layerdrop and mask_* (training of the original only), and the sizes of heads that
    # transformers puts on top of the encoder.
    heads, width = values["num_attention_heads"], values["hidden_size"]
    layer = TransformerLayerConfig(tuple(range(heads)), values["intermediate_size"])
    shapes = zip(values["conv_dim"], values["conv_kernel"], values["conv_stride"], strict=True)
    return SSLConfig(
        family="wavlm",
        conv_layers=tuple(ConvLayerConfig(*shape) for shape in shapes),
        conv_norm=values["feat_extract_norm"],
        conv_bias=values["conv_bias"],
        embed_dim=width,
        num_heads=heads,
        head_dim=width // heads,
        layers=(layer,) * values["num_hidden_layers"],
        norm_first=values["do_stable_layer_norm"],
        pos_conv_kernel=values["num_conv_pos_embeddings"],
        pos_conv_groups=values["num_conv_pos_embedding_groups"],
        normalize_waveform=normalize,
        num_buckets=values["num_buckets"],
        max_distance=values["max_bucket_distance"],
        projection_dropout=values["feat_proj_dropout"],
        attention_dropout=values["attention_dropout"],
        ffn_dropout=values["activation_dropout"],
        hidden_dropout=values["hidden_dropout"],
    )
