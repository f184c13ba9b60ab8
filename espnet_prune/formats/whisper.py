"""Whisper's encoder out of transformers' models and OpenAI's own files, without the decoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.config import SSLConfig
from espnet_prune.encoder.families.whisper import POSITIONS, whisper_shape
from espnet_prune.encoder.log_mel import HOP, SAMPLE_RATE, WINDOW
from espnet_prune.encoder.model import SSLEncoder
from espnet_prune.encoder.typed import shortened
from espnet_prune.formats.conversion import Table, build_encoder, convert_config, without_prefix
from espnet_prune.formats.layout import Layout, Preprocessor, Weights
from espnet_prune.formats.pickles import check_state

_LAYER = "encoder.layers.N"
_TABLE: Table = {
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

_CONSTANTS = {
    "activation_function": "gelu",
    "scale_embedding": False,
    "max_source_positions": POSITIONS,
}
_FIELDS = {
    "embed_dim": "d_model",
    "num_heads": "encoder_attention_heads",
    "mel_bands": "num_mel_bins",
    "hidden_dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "ffn_dropout": "activation_dropout",
}


def _read(values: Mapping[str, Any], _: Preprocessor | None, source: object) -> SSLConfig:
    """Inputs keep their own length: :meth:`.SSLEncoder.pad_to` chooses."""
    return convert_config({**_CONSTANTS, **values}, _CONSTANTS, _converted, source)


def _select(
    config: SSLConfig, state: Mapping[str, Tensor], source: object, table: Table = _TABLE
) -> Weights:
    state = without_prefix(state, _PREFIX)
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
    return Weights(state, table, _DROPPED)


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
    return build_encoder(config, *_select(config, state, path, _OPENAI_TABLE), path)


def _converted(values: Mapping[str, Any]) -> SSLConfig:
    # Dropped: all that is the decoder's, encoder_layerdrop, mask_* and apply_spec_augment
    # (training of the original only).
    fields = {ours: values[theirs] for ours, theirs in _FIELDS.items()}
    return whisper_shape(values["encoder_layers"], values["encoder_ffn_dim"], **fields)


def _converted_dims(dims: Mapping[str, Any]) -> SSLConfig:
    width, bands = dims["n_audio_state"], dims["n_mels"]
    return whisper_shape(dims["n_audio_layer"], 4 * width, width, dims["n_audio_head"], bands)


def _write(config: SSLConfig) -> dict[str, Any]:
    # A config of transformers has a decoder always; this one is not in the file.
    heads, ffn, layers = config.num_heads, config.layers[0].ffn, len(config.layers)
    return {
        **_CONSTANTS,
        **{theirs: getattr(config, ours) for ours, theirs in _FIELDS.items()},
        **{f"{part}_attention_heads": heads for part in ("encoder", "decoder")},
        **{f"{part}_ffn_dim": ffn for part in ("encoder", "decoder")},
        **{f"{part}_layers": layers for part in ("encoder", "decoder")},
        "apply_spec_augment": False,
        "encoder_layerdrop": 0.0,
    }


def _write_preprocessor(config: SSLConfig) -> dict[str, Any]:
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": config.mel_bands,
        "sampling_rate": SAMPLE_RATE,
        "n_fft": WINDOW,
        "hop_length": HOP,
        "chunk_length": 30,
        "n_samples": 30 * SAMPLE_RATE,
        "nb_max_frames": 30 * SAMPLE_RATE // HOP,
        "padding_side": "right",
        "padding_value": 0.0,
        "dither": 0.0,
        "return_attention_mask": False,
    }


def _obstacles(config: SSLConfig) -> Iterator[str]:
    (first,) = config.conv_layers
    if first.channels < config.embed_dim:
        yield f"fewer than {config.embed_dim} channels in the first convolution"


WHISPER = Layout("WhisperModel", _TABLE, _read, _select, _write, _write_preprocessor, _obstacles)
"""transformers' Whisper, with or without a decoder."""
