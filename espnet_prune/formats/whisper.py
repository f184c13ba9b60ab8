"""Whisper's encoder out of transformers' models and OpenAI's own files, without the decoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.config import SSLConfig
from espnet_prune.encoder.families.whisper import POSITIONS, whisper_shape
from espnet_prune.encoder.log_mel import HOP, SAMPLE_RATE, WINDOW
from espnet_prune.encoder.model import SSLEncoder
from espnet_prune.encoder.typed import shortened
from espnet_prune.formats.conversion import (
    Layout,
    Table,
    Values,
    Weights,
    build_encoder,
    convert_config,
    renamed,
    translated,
)
from espnet_prune.formats.fairseq import LAYERS
from espnet_prune.formats.huggingface_waveform import CLASSIFIER
from espnet_prune.formats.pickles import check_state

_TABLE: Table = {
    **LAYERS,
    "front_end.conv_layers.N.conv": "encoder.conv1",
    "front_end.projection": "encoder.conv2",
    "front_end.positions": "encoder.embed_positions.weight",
    # Keys have none.
    "layers.N.attention.qkv.bias": tuple(f"encoder.layers.N.self_attn.{x}_proj.bias" for x in "qv"),
}
_DROPPED = {
    **CLASSIFIER,
    **dict.fromkeys(("decoder", "proj_out"), "makes text of the encoder's frames"),
}
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


def _read(values: Values, _: Values | None, source: object) -> SSLConfig:
    """Inputs keep their own length: :meth:`.SSLEncoder.pad_to` chooses."""
    return convert_config({**_CONSTANTS, **values}, _CONSTANTS, _config, source)


def _config(values: Values) -> SSLConfig:
    # Dropped: all that is the decoder's, encoder_layerdrop, mask_* and apply_spec_augment
    # (training of the original only).
    fields = translated(values, _FIELDS)
    return whisper_shape(values["encoder_layers"], values["encoder_ffn_dim"], **fields)


def _select(config: SSLConfig, state: Mapping[str, Tensor], source: object) -> Weights:
    state = {key.removeprefix("model."): value for key, value in state.items()}
    first = "encoder.conv1.weight"
    if "conv1.weight" in state:  # transformers' WhisperEncoder by itself
        state = {f"encoder.{key}": value for key, value in state.items()}
    if first not in state:
        raise CheckpointError(
            f"{source}: expected the weights of Whisper's encoder, such as {first}, found "
            f"{shortened(sorted(state), 3) or 'none'}; get the model with its encoder"
        )
    if (found := state[first].shape[1:2]) != (config.mel_bands,):
        raise CheckpointError(
            f"{source}: expected weights for {config.mel_bands} mel bands, as its config says, "
            f"found {first} for {', '.join(map(str, found))}; config and weights belong to "
            "different models"
        )
    return state, _TABLE, _DROPPED


# OpenAI's names, by transformers' that they replace.
_OPENAI = {
    "layers.N": "blocks.N",
    "self_attn.q_proj": "attn.query",
    "self_attn.k_proj": "attn.key",
    "self_attn.v_proj": "attn.value",
    "self_attn.out_proj": "attn.out",
    "self_attn_layer_norm": "attn_ln",
    "fc1": "mlp.0",
    "fc2": "mlp.2",
    "final_layer_norm": "mlp_ln",
    "encoder.layer_norm": "encoder.ln_post",
    "embed_positions.weight": "positional_embedding",
}


def import_openai(path: Path, checkpoint: Values) -> SSLEncoder:
    """Take the encoder out of what OpenAI publishes as ``tiny.en.pt`` and the like."""
    dims = checkpoint["dims"]
    if not isinstance(dims, Mapping):
        raise CheckpointError(f"{path}: expected dims by name, found {type(dims).__name__}")
    config = convert_config(dims, {"n_audio_ctx": POSITIONS}, _openai_config, path)
    state = check_state(checkpoint["model_state_dict"], path)
    state, table, dropped = _select(config, state, path)
    return build_encoder(config, state, renamed(table, _openai_name), dropped, path)


def _openai_config(dims: Values) -> SSLConfig:
    width, bands = dims["n_audio_state"], dims["n_mels"]
    return whisper_shape(dims["n_audio_layer"], 4 * width, width, dims["n_audio_head"], bands)


def _openai_name(name: str) -> str:
    for theirs, openai in _OPENAI.items():
        name = name.replace(theirs, openai)
    return name


def _write(config: SSLConfig) -> tuple[Values, Values]:
    # A config of transformers has a decoder always; this one is not in the file.
    sizes = {
        "attention_heads": config.num_heads,
        "ffn_dim": config.layers[0].ffn,
        "layers": len(config.layers),
    }
    values = {
        **_CONSTANTS,
        **{theirs: getattr(config, ours) for ours, theirs in _FIELDS.items()},
        **{f"{part}_{name}": n for part in ("encoder", "decoder") for name, n in sizes.items()},
        "apply_spec_augment": False,
        "encoder_layerdrop": 0.0,
    }
    return values, {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": config.mel_bands,
        "n_fft": WINDOW,
        "hop_length": HOP,
        "chunk_length": 30,
        "n_samples": 30 * SAMPLE_RATE,
        "nb_max_frames": 30 * SAMPLE_RATE // HOP,
        "dither": 0.0,
        "return_attention_mask": False,
    }


def _obstacles(config: SSLConfig) -> Iterator[str]:
    (first,) = config.conv_layers
    if first.channels < config.embed_dim:
        yield f"fewer than {config.embed_dim} channels in the first convolution"


WHISPER = Layout("WhisperModel", _TABLE, _read, _select, _write, _obstacles)
"""transformers' Whisper, with or without a decoder."""
