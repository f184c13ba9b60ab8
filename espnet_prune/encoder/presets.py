"""Named encoders as plain numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from espnet_prune.encoder import published
from espnet_prune.encoder.config import ConvLayerConfig, SSLConfig, dense_layers
from espnet_prune.encoder.families.whisper import whisper_shape

_KERNELS = (10, 3, 3, 3, 3, 2, 2)
_STRIDES = (5, 2, 2, 2, 2, 2, 2)


def _front_end(channels: int) -> tuple[ConvLayerConfig, ...]:
    return tuple(ConvLayerConfig(channels, k, s) for k, s in zip(_KERNELS, _STRIDES, strict=True))


def _base(family: str) -> SSLConfig:
    """12 post-norm layers of width 768 on a front end with a group norm."""
    return SSLConfig(
        family=family,
        conv_layers=_front_end(512),
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


def _large(family: str) -> SSLConfig:
    """24 pre-norm layers of width 1024 on a front end with layer norms."""
    return replace(
        _base(family),
        conv_norm="layer",
        embed_dim=1024,
        num_heads=16,
        layers=dense_layers(24, 16, 4096),
        norm_first=True,
        normalize_waveform=True,
    )


def wavlm_base() -> SSLConfig:
    """WavLM Base (Chen et al., 2022): 94.4 M parameters; Base+ has the same shape."""
    return _base("wavlm")


def wavlm_base_plus() -> SSLConfig:
    """WavLM Base+ (Chen et al., 2022): 94.4 M parameters."""
    return _base("wavlm")


def wavlm_large() -> SSLConfig:
    """WavLM Large (Chen et al., 2022): 315.5 M parameters."""
    return _large("wavlm")


def wavlm_base_plus_s80() -> SSLConfig:
    """BUT-FIT's diarizen-wavlm-base-s80-md (Han et al., 2025): 18.9 M parameters."""
    return published.reshaped(
        wavlm_base_plus(), published.BASE_PLUS_S80_CHANNELS, published.BASE_PLUS_S80_LAYERS
    )


def wavlm_large_s80() -> SSLConfig:
    """BUT-FIT's diarizen-wavlm-large-s80-md (Han et al., 2025): 63.1 M parameters."""
    return published.reshaped(
        wavlm_large(), published.LARGE_S80_CHANNELS, published.LARGE_S80_LAYERS
    )


def hubert_base() -> SSLConfig:
    """HuBERT Base (Hsu et al., 2021): 94.4 M parameters."""
    return _base("hubert")


def hubert_large() -> SSLConfig:
    """HuBERT Large (Hsu et al., 2021): 315.4 M parameters."""
    return replace(
        _large("hubert"), projection_dropout=0.0, attention_dropout=0.0, hidden_dropout=0.0
    )


def wav2vec2_base() -> SSLConfig:
    """wav2vec 2.0 Base (Baevski et al., 2020): 94.4 M parameters."""
    return _base("wav2vec2")


def wav2vec2_large() -> SSLConfig:
    """wav2vec 2.0 Large on LibriSpeech (Baevski et al., 2020): a wide Base, post-norm as it is."""
    return replace(
        _base("wav2vec2"),
        embed_dim=1024,
        num_heads=16,
        layers=dense_layers(24, 16, 4096),
        hidden_dropout=0.0,
    )


def wav2vec2_large_lv60k() -> SSLConfig:
    """wav2vec 2.0 Large on Libri-Light (Baevski et al., 2020): pre-norm, convolutions with bias."""
    return replace(_large("wav2vec2"), conv_bias=True, hidden_dropout=0.0)


# Layers and width; heads of width 64, an FFN of four times the width (Radford et al., 2023).
# 7.6, 19.8, 87.0, 305.7 and 634.9 M parameters, without the positions, which are fixed.
_WHISPERS = {
    **dict.fromkeys(("tiny", "tiny_en"), (4, 384)),
    **dict.fromkeys(("base", "base_en"), (6, 512)),
    **dict.fromkeys(("small", "small_en"), (12, 768)),
    **dict.fromkeys(("medium", "medium_en"), (24, 1024)),
    **dict.fromkeys(("large", "large_v2", "large_v3", "large_v3_turbo"), (32, 1280)),
}

PRESETS: dict[str, Callable[[], SSLConfig]] = {
    preset.__name__: preset
    for preset in (
        wavlm_base,
        wavlm_base_plus,
        wavlm_base_plus_s80,
        wavlm_large,
        wavlm_large_s80,
        hubert_base,
        hubert_large,
        wav2vec2_base,
        wav2vec2_large,
        wav2vec2_large_lv60k,
    )
} | {
    f"whisper_{name}": partial(
        whisper_shape, layers, 4 * width, width, width // 64, 128 if "v3" in name else 80
    )
    for name, (layers, width) in _WHISPERS.items()
}
"""Shapes of published encoders, dense and pruned, by name; each makes a config."""
