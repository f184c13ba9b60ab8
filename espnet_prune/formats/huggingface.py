"""Encoders as transformers saves them, a config beside its weights: read, and written for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.config import SSLConfig
from espnet_prune.encoder.log_mel import SAMPLE_RATE
from espnet_prune.encoder.model import SSLEncoder
from espnet_prune.encoder.typed import ConfigError
from espnet_prune.formats.conversion import Values, build_encoder, source_state
from espnet_prune.formats.huggingface_waveform import waveform_layout
from espnet_prune.formats.pickles import load_state
from espnet_prune.formats.whisper import WHISPER
from espnet_prune.storage.checkpoint import CONFIG, read_config
from espnet_prune.storage.files import atomic_write
from espnet_prune.storage.tensors import load_file, save_file

_PROCESSOR, _PREPROCESSOR = "processor_config.json", "preprocessor_config.json"
SAFETENSORS, _INDEX, PICKLE = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
)
_SHARDS = "model-*-of-*.safetensors"
FILES = (CONFIG, _PROCESSOR, _PREPROCESSOR, SAFETENSORS, _INDEX, _SHARDS, PICKLE)
"""What an encoder's folder may hold for :func:`import_huggingface`, as names and patterns."""

LAYOUTS = {
    "wavlm": waveform_layout("WavLMModel"),
    "hubert": waveform_layout("HubertModel"),
    "wav2vec2": waveform_layout("Wav2Vec2Model"),
    "whisper": WHISPER,
}
"""By ``model_type``, which is our family too."""


def import_huggingface(folder: Path) -> SSLEncoder:
    """Read the encoder out of what ``save_pretrained`` of a transformers model wrote.

    That is a WavLM, HuBERT, wav2vec 2.0 or Whisper, with or without a head or a decoder, in
    safetensors (whole or sharded) or as a pickle, of any version of transformers.
    """
    path = folder / CONFIG
    config = _config(read_config(path), _preprocessor(folder), path)
    return _build(config, *_weights(folder))


def import_huggingface_model(model: Any) -> SSLEncoder:
    """Copy the encoder out of a transformers model in memory.

    Without a preprocessor, waveforms are normalised if the front end has layer norms.
    """
    state = {key: value.clone() for key, value in model.state_dict().items()}
    name = type(model).__name__
    return _build(_config(model.config.to_dict(), None, name), state, name)


def _config(values: Values, preprocessor: Values | None, source: object) -> SSLConfig:
    layout = LAYOUTS.get(found) if isinstance(found := values.get("model_type"), str) else None
    if layout is None:
        raise CheckpointError(
            f"{source}: expected model_type {', '.join(LAYOUTS)} in the config, found {found!r}; "
            "such a model cannot be imported"
        )
    return layout.read(values, preprocessor, source)


def _build(config: SSLConfig, state: Mapping[str, Tensor], source: object) -> SSLEncoder:
    weights = LAYOUTS[config.family].select(config, state, source)
    return build_encoder(config, *weights, source)


def _preprocessor(folder: Path) -> Values | None:
    # From version 5 on, transformers writes the preprocessor of a model with a tokenizer into the
    # processor's file, and reads that one first.
    if (path := folder / _PROCESSOR).exists():
        nested = read_config(path).get("feature_extractor")
        if isinstance(nested, dict):
            return nested
    path = folder / _PREPROCESSOR
    return read_config(path) if path.exists() else None


def _weights(folder: Path) -> tuple[Mapping[str, Tensor], Path]:
    for name, load in ((SAFETENSORS, load_file), (_INDEX, _load_shards), (PICKLE, load_state)):
        if (path := folder / name).exists():
            return load(path), path
    raise CheckpointError(f"{folder}: expected {SAFETENSORS} or {PICKLE}, found neither")


def _load_shards(index: Path) -> dict[str, Tensor]:
    files = read_config(index).get("weight_map")
    if not (isinstance(files, dict) and all(isinstance(name, str) for name in files.values())):
        raise CheckpointError(f"{index}: expected a weight_map from tensors to files, found none")
    state: dict[str, Tensor] = {}
    for name in sorted(set(files.values())):
        state.update(load_file(index.parent / Path(name).name))
    return state


def export_huggingface(encoder: SSLEncoder, folder: str | PathLike[str]) -> None:
    """Write a model for ``transformers.AutoModel``, and its feature extractor, to ``folder``.

    The convolutions may be pruned (but for Whisper's), the Transformer may not. Which channels of
    the dense model they are (``kept``) has no place in such a folder, nor has ``padded_to``, which
    is always 30 s there; nothing else is lost. Of a Whisper, the decoder is not in the folder:
    transformers says so, and makes a random one.

    Raises:
        ConfigError: transformers has no model of this shape; the message lists every reason.
    """
    config, folder = encoder.config, Path(folder)
    layout = LAYOUTS[config.family]
    if reasons := [*_obstacles(config), *layout.obstacles(config)]:
        raise ConfigError(
            f"expected an encoder that transformers' {layout.model} can be, found "
            f"{'; '.join(reasons)}; keep it in the folder format of save_pretrained"
        )
    state = source_state(encoder.state_dict(), layout.table)
    for key in (key for key in state if key.endswith(".gru_rel_pos_const")):
        state[key] = state[key].view(1, -1, 1, 1)
    save_file(state, folder / SAFETENSORS)
    values, preprocessor = layout.write(config)
    names = {"architectures": [layout.model], "model_type": config.family}
    audio = {"sampling_rate": SAMPLE_RATE, "padding_side": "right", "padding_value": 0.0}
    for file, parts in ((_PREPROCESSOR, {**audio, **preprocessor}), (CONFIG, {**names, **values})):
        atomic_write(folder / file, json.dumps(parts, indent=2, sort_keys=True) + "\n")


def _obstacles(config: SSLConfig) -> Iterator[str]:
    width = max((layer.ffn for layer in config.layers), default=0) or 1
    heads, layers = config.num_heads, list(enumerate(config.layers))
    for what, indices in (
        (f"{heads} heads", [index for index, layer in layers if len(layer.heads) < heads]),
        (f"{width} FFN units", [index for index, layer in layers if layer.ffn < width]),
    ):
        if indices:
            yield f"fewer than {what} in layers {', '.join(map(str, indices))}"
    if thin := [str(index) for index, layer in layers if any(layer.map_ranks)]:
        yield f"maps of two thin ones (ranks) in layers {', '.join(thin)}"
    if heads * config.head_dim != config.embed_dim:
        yield f"{heads} heads of width {config.head_dim} at width {config.embed_dim}"
    if config.channel_scale:
        yield "a factor per channel after the last convolution (channel_scale)"
    if config.norm_first and not config.final_norm:
        yield "no LayerNorm on the last hidden state (final_norm)"
