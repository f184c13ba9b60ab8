"""WavLM, HuBERT and wav2vec 2.0 as transformers saves them: a config beside its weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from espnet_prune.ssl.checkpoint import CONFIG, read_config
from espnet_prune.ssl.config import ConvLayerConfig, SSLConfig, dense_layers
from espnet_prune.ssl.importers.conversion import (
    Table,
    build_encoder,
    convert_config,
    new_weight_norm,
)
from espnet_prune.ssl.importers.pickles import check_state, load_pickle
from espnet_prune.ssl.importers.whisper import whisper_config, whisper_encoder
from espnet_prune.ssl.model import SSLEncoder
from espnet_prune.ssl.safetensors import CheckpointError, load_file

logger = logging.getLogger(__name__)

PROCESSOR, PREPROCESSOR, SAFETENSORS, INDEX, PICKLE = (
    "processor_config.json",
    "preprocessor_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
)
FILES = (
    CONFIG,
    PROCESSOR,
    PREPROCESSOR,
    SAFETENSORS,
    INDEX,
    "model-*-of-*.safetensors",
    PICKLE,
)
"""What an encoder's folder may hold for :func:`import_huggingface`, as names and patterns."""

FAMILIES = {
    "wavlm": "WavLMModel",
    "hubert": "HubertModel",
    "wav2vec2": "Wav2Vec2Model",
    "whisper": "WhisperModel",
}
"""From ``model_type``, which is our family too, to transformers' class."""

TABLE: Table = {
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
_HEADS = {
    "quantizer": "makes the targets of pre-training",
    "project_q": "makes the targets of pre-training",
    "project_hid": "predicts the targets of pre-training",
    "lm_head": "belongs to a head for CTC",
    "layer_weights": "weighs the hidden states for a head",
    "projector": "belongs to a head for classification",
    "classifier": "belongs to a head for classification",
    "tdnn": "belongs to a head for speaker embeddings",
    "feature_extractor": "belongs to a head for speaker embeddings",
    "objective": "belongs to a head for speaker embeddings",
}

_FIELDS = {
    "conv_norm": "feat_extract_norm",
    "conv_bias": "conv_bias",
    "embed_dim": "hidden_size",
    "num_heads": "num_attention_heads",
    "norm_first": "do_stable_layer_norm",
    "pos_conv_kernel": "num_conv_pos_embeddings",
    "pos_conv_groups": "num_conv_pos_embedding_groups",
    "projection_dropout": "feat_proj_dropout",
    "attention_dropout": "attention_dropout",
    "ffn_dropout": "activation_dropout",
    "hidden_dropout": "hidden_dropout",
}
_WAVLM_FIELDS = {"num_buckets": "num_buckets", "max_distance": "max_bucket_distance"}
CONSTANTS = {"hidden_act": "gelu", "feat_extract_activation": "gelu", "layer_norm_eps": 1e-5}
"""The only values in transformers' configs of what ours have no name for."""

# A key that is absent has transformers' default, which is the value given here.
_SUPPORTED = {
    **CONSTANTS,
    "add_adapter": False,
    "adapter_attn_dim": None,
    "feat_proj_layer_norm": True,
    "conv_pos_batch_norm": False,
}


def import_huggingface(folder: Path) -> SSLEncoder:
    """Read the encoder out of what ``save_pretrained`` of a transformers model wrote.

    Args:
        folder: of a WavLM, HuBERT, wav2vec 2.0 or Whisper model, with or without a head or a
            decoder, in safetensors (whole or sharded) or as a pickle, of any version of
            transformers.

    Raises:
        CheckpointError: the folder is damaged, unsafe, of another kind or not supported.
    """
    config = _config(read_config(folder / CONFIG), folder)
    return _build(config, *_weights(folder))


def import_huggingface_model(model: Any) -> SSLEncoder:
    """Copy the encoder out of a transformers model in memory.

    Without a preprocessor, waveforms are normalised if the front end has layer norms.

    Raises:
        CheckpointError: the model is of another kind or not supported.
    """
    state = {key: value.clone() for key, value in model.state_dict().items()}
    name = type(model).__name__
    return _build(_config(model.config.to_dict(), None, name), state, name)


def shared_fields(family: str) -> dict[str, str]:
    """From our config's names to transformers', for the values that both write alike."""
    return {**_FIELDS, **_WAVLM_FIELDS} if family == "wavlm" else _FIELDS


def _build(config: SSLConfig, state: Mapping[str, Tensor], source: object) -> SSLEncoder:
    if config.family == "whisper":
        return whisper_encoder(config, state, source)
    prefix, dropped = f"{config.family}.", _HEADS
    if not any(key.startswith(prefix) for key in state):
        prefix, dropped = "", {}
    table = {
        ours: tuple(prefix + key for key in ((row,) if isinstance(row, str) else row))
        for ours, row in TABLE.items()
    }
    dropped = {**dropped, f"{prefix}masked_spec_embed": "stands for masked frames in training"}
    return build_encoder(config, new_weight_norm(state), table, dropped, source)


def _normalizes(values: Mapping[str, Any], folder: Path | None = None) -> bool:
    path, preprocessor = _preprocessor(folder) if folder else (None, None)
    if preprocessor is not None:
        found = preprocessor.get("do_normalize")
        if not isinstance(found, bool):
            raise CheckpointError(f"{path}: expected do_normalize true or false, found {found!r}")
        return found
    normalize = values.get("feat_extract_norm") == "layer"
    logger.info(
        "%s: no %s; waveforms are %s, as in the published models with such a front end",
        folder or "model in memory",
        PREPROCESSOR,
        "normalized" if normalize else "not normalized",
    )
    return normalize


def _preprocessor(folder: Path) -> tuple[Path, dict[str, Any] | None]:
    # From version 5 on, transformers writes the preprocessor of a model with a tokenizer into the
    # processor's file, and reads that one first.
    if (path := folder / PROCESSOR).exists():
        nested = read_config(path).get("feature_extractor")
        if isinstance(nested, dict):
            return path, nested
    path = folder / PREPROCESSOR
    return path, read_config(path) if path.exists() else None


def _weights(folder: Path) -> tuple[Mapping[str, Tensor], Path]:
    if (path := folder / SAFETENSORS).exists():
        return load_file(path), path
    if (path := folder / INDEX).exists():
        return _shards(path), path
    if (path := folder / PICKLE).exists():
        return check_state(load_pickle(path), path), path
    raise CheckpointError(f"{folder}: expected {SAFETENSORS} or {PICKLE}, found neither")


def _shards(index: Path) -> dict[str, Tensor]:
    files = read_config(index).get("weight_map")
    if not (isinstance(files, dict) and all(isinstance(name, str) for name in files.values())):
        raise CheckpointError(f"{index}: expected a weight_map from tensors to files, found none")
    state: dict[str, Tensor] = {}
    for name in sorted(set(files.values())):
        state.update(load_file(index.parent / Path(name).name))
    return state


def _config(values: Mapping[str, Any], folder: Path | None, source: object = None) -> SSLConfig:
    source = folder / CONFIG if folder else source
    if (found := values.get("model_type")) not in tuple(FAMILIES):
        raise CheckpointError(
            f"{source}: expected model_type {', '.join(FAMILIES)} in the config, found {found!r}; "
            "such a model cannot be imported"
        )
    if found == "whisper":
        return whisper_config(values, source)
    normalize = _normalizes(values, folder)
    return convert_config(
        {**_SUPPORTED, **values}, _SUPPORTED, lambda all_: _converted(all_, normalize), source
    )


def _converted(values: Mapping[str, Any], normalize: bool) -> SSLConfig:
    # Dropped: layerdrop and mask_* (training of the original only), and the sizes of heads.
    family, heads, width = (
        values[key] for key in ("model_type", "num_attention_heads", "hidden_size")
    )
    layers = dense_layers(values["num_hidden_layers"], heads, values["intermediate_size"])
    shapes = zip(values["conv_dim"], values["conv_kernel"], values["conv_stride"], strict=True)
    return SSLConfig(
        family=family,
        conv_layers=tuple(ConvLayerConfig(*shape) for shape in shapes),
        head_dim=width // heads,
        layers=layers,
        normalize_waveform=normalize,
        **{ours: values[theirs] for ours, theirs in shared_fields(family).items()},
    )
