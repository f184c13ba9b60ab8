"""A folder that transformers loads as a model of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from torch import Tensor

from espnet_prune.encoder.config import ConfigError, SSLConfig
from espnet_prune.encoder.model import SSLEncoder
from espnet_prune.formats.conversion import Table, source_keys
from espnet_prune.formats.huggingface import CONFIG, LAYOUTS, PREPROCESSOR, SAFETENSORS
from espnet_prune.storage.files import atomic_write
from espnet_prune.storage.tensors import save_file


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
    save_file(_weights(encoder, layout.table), folder / SAFETENSORS)
    names = {"architectures": [layout.model], "model_type": config.family}
    for file, values in (
        (PREPROCESSOR, layout.write_preprocessor(config)),
        (CONFIG, {**names, **layout.write(config)}),
    ):
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


def _weights(encoder: SSLEncoder, table: Table) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, value in encoder.state_dict().items():
        keys = source_keys(name, table)
        state.update(zip(keys, value.chunk(len(keys)), strict=True))
    return {
        key: value.view(1, -1, 1, 1) if key.endswith(".gru_rel_pos_const") else value
        for key, value in state.items()
    }
