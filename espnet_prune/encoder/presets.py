"""Published encoders, dense and pruned, as plain numbers by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from espnet_prune.encoder.config import (
    ConvLayerConfig,
    SSLConfig,
    TransformerLayerConfig,
    dense_layers,
)
from espnet_prune.encoder.families.whisper import whisper_shape

_KERNELS = (10, 3, 3, 3, 3, 2, 2)
_STRIDES = (5, 2, 2, 2, 2, 2, 2)


def _base(family: str, **changes: Any) -> SSLConfig:
    """12 post-norm layers of width 768 on a front end with a group norm."""
    config = SSLConfig(
        family=family,
        conv_layers=tuple(ConvLayerConfig(512, *of) for of in zip(_KERNELS, _STRIDES, strict=True)),
        conv_norm="group",
        conv_bias=False,
        embed_dim=768,
        num_heads=12,
        head_dim=64,
        layers=dense_layers(12, 12, 3072),
        norm_first=False,
        pos_conv_kernel=128,
        pos_conv_groups=16,
        normalize_waveform=False,
    )
    return replace(config, **changes)


def _wide(family: str, **changes: Any) -> SSLConfig:
    """A base model of 24 layers of width 1024."""
    layers = dense_layers(24, 16, 4096)
    return _base(family, embed_dim=1024, num_heads=16, layers=layers, **changes)


def _large(family: str, **changes: Any) -> SSLConfig:
    """A wide model with pre-norm layers on a front end with layer norms."""
    norms = {"conv_norm": "layer", "norm_first": True, "normalize_waveform": True}
    return _wide(family, **norms, **changes)


def _pruned(
    dense: SSLConfig, channels: tuple[int, ...], layers: tuple[tuple[tuple[int, ...], int], ...]
) -> SSLConfig:
    """``dense`` with these channels per convolution, and (heads, FFN units) per layer."""
    convolutions = zip(dense.conv_layers, channels, strict=True)
    return replace(
        dense,
        conv_layers=tuple(replace(layer, channels=kept) for layer, kept in convolutions),
        layers=tuple(TransformerLayerConfig(*layer) for layer in layers),
    )


# BUT-FIT's diarizen-wavlm-{base,large}-s80-md (Han et al., 2025), from DiariZen's
# wavlm_config.py, a60b181: channels per convolution, kept heads and FFN units per layer.
_BASE_S80 = (
    (90, 161, 173, 181, 351, 155, 137),
    (
        ((1, 6), 666),
        ((5, 7, 8), 660),
        ((0, 3, 9), 649),
        ((0, 1, 4, 8, 11), 1080),
        ((6, 8), 237),
        ((0,), 299),
        ((7, 8, 10, 11), 437),
        ((0, 1, 4, 8), 573),
        ((), 53),
        ((), 80),
        ((4, 7), 211),
        ((5,), 334),
    ),
)
_LARGE_S80 = (
    (512, 153, 224, 255, 302, 368, 211),
    (
        ((1, 2, 4, 5, 6), 1092),
        ((9, 10, 14), 925),
        ((0, 1, 2, 4, 5, 7), 759),
        ((1, 4, 7, 12, 13, 14), 646),
        ((0, 2, 3, 4, 13), 745),
        ((1, 7, 13, 14, 15), 615),
        ((11, 13, 15), 684),
        ((2, 3, 4, 8, 15), 958),
        ((2, 5, 6, 15), 286),
        ((), 294),
        ((0, 1), 406),
        ((1, 3, 5, 12), 377),
        ((), 463),
        ((4, 7, 11), 542),
        ((6, 9), 298),
        ((11,), 236),
        ((), 96),
        ((), 104),
        ((14,), 134),
        ((5, 15), 211),
        ((0, 2, 8, 11, 13, 15), 473),
        ((0, 1, 3, 4, 5, 6, 7, 10, 13), 1011),
        ((0, 1, 3, 6, 7, 9, 10, 11, 12, 14), 1770),
        ((1, 2, 3, 4, 7, 13, 14, 15), 1316),
    ),
)
# Layers and width.
_WHISPERS = {
    **dict.fromkeys(("tiny", "tiny_en"), (4, 384)),
    **dict.fromkeys(("base", "base_en"), (6, 512)),
    **dict.fromkeys(("small", "small_en"), (12, 768)),
    **dict.fromkeys(("medium", "medium_en"), (24, 1024)),
    **dict.fromkeys(("large", "large_v2", "large_v3", "large_v3_turbo"), (32, 1280)),
}

PRESETS: dict[str, Callable[[], SSLConfig]] = {
    # WavLM (Chen et al., 2022): 94.4 and 315.5 M parameters, pruned to 18.9 and 63.1 M.
    "wavlm_base": partial(_base, "wavlm"),
    "wavlm_base_plus": partial(_base, "wavlm"),
    "wavlm_base_plus_s80": lambda: _pruned(_base("wavlm"), *_BASE_S80),
    "wavlm_large": partial(_large, "wavlm"),
    "wavlm_large_s80": lambda: _pruned(_large("wavlm"), *_LARGE_S80),
    # HuBERT (Hsu et al., 2021): 94.4 and 315.4 M parameters.
    "hubert_base": partial(_base, "hubert"),
    "hubert_large": partial(
        _large, "hubert", projection_dropout=0.0, attention_dropout=0.0, hidden_dropout=0.0
    ),
    # wav2vec 2.0 (Baevski et al., 2020): Large on LibriSpeech is a wide Base, post-norm as it is;
    # on Libri-Light it is pre-norm, its convolutions with a bias.
    "wav2vec2_base": partial(_base, "wav2vec2"),
    "wav2vec2_large": partial(_wide, "wav2vec2", hidden_dropout=0.0),
    "wav2vec2_large_lv60k": partial(_large, "wav2vec2", conv_bias=True, hidden_dropout=0.0),
    # Whisper (Radford et al., 2023): 7.6, 19.8, 87.0, 305.7 and 634.9 M parameters, without the
    # positions, which are fixed; heads of width 64, an FFN of four times the width.
    **{
        f"whisper_{name}": partial(
            whisper_shape, layers, 4 * width, width, width // 64, 128 if "v3" in name else 80
        )
        for name, (layers, width) in _WHISPERS.items()
    },
}
"""Shapes by name; each makes a config."""
