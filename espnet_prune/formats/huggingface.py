"""Encoders as transformers saves them: a config beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.config import SSLConfig
from espnet_prune.encoder.model import SSLEncoder
from espnet_prune.formats.conversion import build_encoder
from espnet_prune.formats.huggingface_waveform import waveform_layout
from espnet_prune.formats.layout import Preprocessor
from espnet_prune.formats.pickles import check_state, load_pickle
from espnet_prune.formats.whisper import WHISPER
from espnet_prune.storage.checkpoint import CONFIG, read_config
from espnet_prune.storage.tensors import load_file

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

LAYOUTS = {
    "wavlm": waveform_layout("WavLMModel"),
    "hubert": waveform_layout("HubertModel"),
    "wav2vec2": waveform_layout("Wav2Vec2Model"),
    "whisper": WHISPER,
}
"""By ``model_type``, which is our family too."""


def import_huggingface(folder: Path) -> SSLEncoder:
    """Read the encoder out of what ``save_pretrained`` of a transformers model wrote.

    Args:
        folder: of a WavLM, HuBERT, wav2vec 2.0 or Whisper model, with or without a head or a
            decoder, in safetensors (whole or sharded) or as a pickle, of any version of
            transformers.

    Raises:
        CheckpointError: the folder is damaged, unsafe, of another kind or not supported.
    """
    path = folder / CONFIG
    config = _config(read_config(path), _preprocessor(folder), path)
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


def _build(config: SSLConfig, state: Mapping[str, Tensor], source: object) -> SSLEncoder:
    weights = LAYOUTS[config.family].select(config, state, source)
    return build_encoder(config, *weights, source)


def _preprocessor(folder: Path) -> Preprocessor:
    # From version 5 on, transformers writes the preprocessor of a model with a tokenizer into the
    # processor's file, and reads that one first.
    if (path := folder / PROCESSOR).exists():
        nested = read_config(path).get("feature_extractor")
        if isinstance(nested, dict):
            return Preprocessor(path, nested)
    path = folder / PREPROCESSOR
    return Preprocessor(path, read_config(path) if path.exists() else None)


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


def _config(
    values: Mapping[str, Any], preprocessor: Preprocessor | None, source: object
) -> SSLConfig:
    layout = LAYOUTS.get(found) if isinstance(found := values.get("model_type"), str) else None
    if layout is None:
        raise CheckpointError(
            f"{source}: expected model_type {', '.join(LAYOUTS)} in the config, found {found!r}; "
            "such a model cannot be imported"
        )
    return layout.read(values, preprocessor, source)
