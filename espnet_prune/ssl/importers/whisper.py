"""Whisper's encoder out of transformers' models and OpenAI's own files, without the decoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from espnet_prune.ssl.config import SSLConfig
from espnet_prune.ssl.families.whisper import POSITIONS, whisper_shape
from espnet_prune.ssl.importers.conversion import Table, build_encoder, convert_config
from espnet_prune.ssl.importers.pickles import check_state
from espnet_prune.ssl.model import SSLEncoder
from espnet_prune.ssl.safetensors import CheckpointError
from espnet_prune.ssl.typed import shortened

_LAYER = "encoder.layers.N"
TABLE: Table = {
    "front_end.conv_layers.N.conv": "encoder.conv1",
    "front_end.projection": "encoder.conv2",
    "front_end.positions": "encoder.embed_positions.weight",
    "norm": "encoder.layer_norm",
    "layers.N.attention.qkv.weight": tuple(
        f"{_LAYER}.self_attn.{part}_proj.weight" for part in "qkv"
    ),
    "layers.N.attention.qkv.bias": tuple(f"{_LAYER}.self_attn.{part}_proj.bias" for part in "qv"),
    "layers.N.attention.out_proj": f"{_LAYER}.self_attn.out_proj",
    "layers.N.attention_norm": f"{_LAYER}.self_attn_layer_norm",
    "layers.N.feed_forward.fc1": f"{_LAYER}.fc1",
    "layers.N.feed_forward.fc2": f"{_LAYER}.fc2",
    "layers.N.ffn_norm": f"{_LAYER}.final_layer_norm",
}
"""From our names to transformers'."""
_BLOCK = "encoder.blocks.N"
_OPENAI_TABLE: Table = {
    "front_end.conv_layers.N.conv": "encoder.conv1",
    "front_end.projection": "encoder.conv2",
    "front_end.positions": "encoder.positional_embedding",
    "norm": "encoder.ln_post",
    "layers.N.attention.qkv.weight": tuple(
        f"{_BLOCK}.attn.{part}.weight" for part in ("query", "key", "value")
    ),
    "layers.N.attention.qkv.bias": tuple(
        f"{_BLOCK}.attn.{part}.bias" for part in ("query", "value")
    ),
    "layers.N.attention.out_proj": f"{_BLOCK}.attn.out",
    "layers.N.attention_norm": f"{_BLOCK}.attn_ln",
    "layers.N.feed_forward.fc1": f"{_BLOCK}.mlp.0",
    "layers.N.feed_forward.fc2": f"{_BLOCK}.mlp.2",
    "layers.N.ffn_norm": f"{_BLOCK}.mlp_ln",
}
_DROPPED = {
    "decoder": "makes text of the encoder's frames",
    "proj_out": "makes text of the encoder's frames",
    "layer_weights": "weighs the hidden states for a head",
    "projector": "belongs to a head for classification",
    "classifier": "belongs to a head for classification",
}
_PREFIX = "model."  # of models with a head for text
_FIRST = "encoder.conv1.weight"

CONSTANTS = {
    "activation_function": "gelu",
    "scale_embedding": False,
    "max_source_positions": POSITIONS,
}
"""The only values in transformers' configs of what ours have no name for."""
FIELDS = {
    "embed_dim": "d_model",
    "num_heads": "encoder_attention_heads",
    "mel_bands": "num_mel_bins",
    "hidden_dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "ffn_dropout": "activation_dropout",
}


def whisper_config(values: Mapping[str, Any], source: object) -> SSLConfig:
    """Translate transformers' config of a Whisper model; inputs keep their own length.

    Raises:
        CheckpointError: a value is missing, impossible or not supported.
    """
    return convert_config({**CONSTANTS, **values}, CONSTANTS, _converted, source)


def whisper_encoder(
    config: SSLConfig, state: Mapping[str, Tensor], source: object, table: Table = TABLE
) -> SSLEncoder:
    """The encoder of ``config`` with the weights of a model with or without a decoder.

    Raises:
        CheckpointError: there is no encoder among them, or it has another shape.
    """
    state = {key.removeprefix(_PREFIX): value for key, value in state.items()}
    if "conv1.weight" in state:  # transformers' WhisperEncoder by itself
        state = {f"encoder.{key}": value for key, value in state.items()}
    if _FIRST not in state:
        raise CheckpointError(
            f"{source}: expected the weights of Whisper's encoder, such as {_FIRST}, found "
            f"{shortened(sorted(state), 3) or 'none'}; get the model with its encoder"
        )
    if (found := state[_FIRST].shape[1:2]) != (config.mel_bands,):
        raise CheckpointError(
            f"{source}: expected weights for {config.mel_bands} mel bands, as its config says, "
            f"found {_FIRST} for {', '.join(map(str, found))}; config and weights belong to "
            "different models"
        )
    return build_encoder(config, state, table, _DROPPED, source)


def import_openai(path: Path, checkpoint: Mapping[str, Any]) -> SSLEncoder:
    """Take the encoder out of what OpenAI publishes as ``tiny.en.pt`` and the like.

    Args:
        path: of the file, for errors.
        checkpoint: its ``dims`` and ``model_state_dict``.

    Raises:
        CheckpointError: the file is damaged or of another kind.
    """
    dims = checkpoint["dims"]
    if not isinstance(dims, Mapping):
        raise CheckpointError(f"{path}: expected dims by name, found {type(dims).__name__}")
    config = convert_config(dims, {"n_audio_ctx": POSITIONS}, _converted_dims, path)
    state = check_state(checkpoint["model_state_dict"], path)
    return whisper_encoder(config, state, path, _OPENAI_TABLE)


def _converted(values: Mapping[str, Any]) -> SSLConfig:
    # Dropped: all that is the decoder's, encoder_layerdrop, mask_* and apply_spec_augment
    # (training of the original only).
    fields = {ours: values[theirs] for ours, theirs in FIELDS.items()}
    return whisper_shape(values["encoder_layers"], values["encoder_ffn_dim"], **fields)


def _converted_dims(dims: Mapping[str, Any]) -> SSLConfig:
    width, bands = dims["n_audio_state"], dims["n_mels"]
    return whisper_shape(dims["n_audio_layer"], 4 * width, width, dims["n_audio_head"], bands)
