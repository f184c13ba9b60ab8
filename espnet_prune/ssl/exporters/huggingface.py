"""A folder that transformers loads as a WavLM, HuBERT or wav2vec 2.0 model of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from espnet_prune.ssl.config import ConfigError, SSLConfig
from espnet_prune.ssl.files import atomic_write
from espnet_prune.ssl.importers.conversion import source_keys
from espnet_prune.ssl.importers.huggingface import (
    CONFIG,
    CONSTANTS,
    FAMILIES,
    PREPROCESSOR,
    SAFETENSORS,
    TABLE,
    shared_fields,
)
from espnet_prune.ssl.model import SSLEncoder
from espnet_prune.ssl.safetensors import save_file


def export_huggingface(encoder: SSLEncoder, folder: str | PathLike[str]) -> None:
    """Write a model for ``transformers.AutoModel``, and its feature extractor, to ``folder``.

    The convolutions may be pruned, the Transformer may not. Which channels of the dense model
    they are (``kept``) has no place in such a folder; nothing else is lost.

    Raises:
        ConfigError: transformers has no model of this shape; the message lists every reason.
    """
    config, folder = encoder.config, Path(folder)
    name = FAMILIES[config.family]
    if reasons := list(_obstacles(config)):
        raise ConfigError(
            f"expected an encoder that transformers' {name} can be, found {'; '.join(reasons)}; "
            "keep it in the folder format of save_pretrained"
        )
    save_file(_weights(encoder), folder / SAFETENSORS)
    for file, values in ((PREPROCESSOR, _preprocessor(config)), (CONFIG, _config(config))):
        atomic_write(folder / file, json.dumps(values, indent=2, sort_keys=True) + "\n")


def _obstacles(config: SSLConfig) -> Iterator[str]:
    width = max((layer.ffn for layer in config.layers), default=0) or 1
    lacking = {
        f"{config.num_heads} heads": [
            len(layer.heads) < config.num_heads for layer in config.layers
        ],
        f"{width} FFN units": [layer.ffn < width for layer in config.layers],
    }
    for what, flags in lacking.items():
        if any(flags):
            indices = ", ".join(str(index) for index, flag in enumerate(flags) if flag)
            yield f"fewer than {what} in layers {indices}"
    if config.num_heads * config.head_dim != config.embed_dim:
        yield f"{config.num_heads} heads of width {config.head_dim} at width {config.embed_dim}"
    if config.channel_scale:
        yield "a factor per channel after the last convolution (channel_scale)"
    if config.norm_first and not config.final_norm:
        yield "no LayerNorm on the last hidden state (final_norm)"


def _weights(encoder: SSLEncoder) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, value in encoder.state_dict().items():
        keys = source_keys(name, TABLE)
        state.update(zip(keys, value.chunk(len(keys)), strict=True))
    return {
        key: value.view(1, -1, 1, 1) if key.endswith(".gru_rel_pos_const") else value
        for key, value in state.items()
    }


def _config(config: SSLConfig) -> dict[str, Any]:
    return {
        "architectures": [FAMILIES[config.family]],
        "model_type": config.family,
        **CONSTANTS,
        **{theirs: getattr(config, ours) for ours, theirs in shared_fields(config.family).items()},
        "conv_dim": [layer.channels for layer in config.conv_layers],
        "conv_kernel": [layer.kernel for layer in config.conv_layers],
        "conv_stride": [layer.stride for layer in config.conv_layers],
        "num_feat_extract_layers": len(config.conv_layers),
        "num_hidden_layers": len(config.layers),
        "intermediate_size": config.layers[0].ffn,
        # Off, as in our encoders; a probability above zero would ask for a vector that stands for
        # masked frames.
        "apply_spec_augment": False,
        "mask_time_prob": 0.0,
        "mask_feature_prob": 0.0,
        "layerdrop": 0.0,
    }


def _preprocessor(config: SSLConfig) -> dict[str, Any]:
    return {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": 16000,
        "padding_side": "right",
        "padding_value": 0.0,
        "do_normalize": config.normalize_waveform,
        # Our encoders never attend to padding, whatever their front end.
        "return_attention_mask": True,
    }
