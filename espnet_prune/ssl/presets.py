"""Named encoders as plain numbers."""

from __future__ import annotations

from espnet_prune.ssl.config import ConvLayerConfig, SSLConfig, TransformerLayerConfig

_KERNELS = (10, 3, 3, 3, 3, 2, 2)
_STRIDES = (5, 2, 2, 2, 2, 2, 2)


def _front_end(channels: int) -> tuple[ConvLayerConfig, ...]:
    return tuple(ConvLayerConfig(channels, k, s) for k, s in zip(_KERNELS, _STRIDES, strict=True))


def _layers(num_layers: int, num_heads: int, ffn: int) -> tuple[TransformerLayerConfig, ...]:
    return (TransformerLayerConfig(tuple(range(num_heads)), ffn),) * num_layers


def wavlm_base_plus() -> SSLConfig:
    """WavLM Base+ (Chen et al., 2022): 12 post-norm layers, 94.4 M parameters."""
    return SSLConfig(
        family="wavlm",
        conv_layers=_front_end(512),
        conv_norm="group",
        conv_bias=False,
        embed_dim=768,
        num_heads=12,
        head_dim=64,
        layers=_layers(12, 12, 3072),
        norm_first=False,
        pos_conv_kernel=128,
        pos_conv_groups=16,
        normalize_waveform=False,
    )


def wavlm_large() -> SSLConfig:
    """WavLM Large (Chen et al., 2022): 24 pre-norm layers, 315.5 M parameters."""
    return SSLConfig(
        family="wavlm",
        conv_layers=_front_end(512),
        conv_norm="layer",
        conv_bias=False,
        embed_dim=1024,
        num_heads=16,
        head_dim=64,
        layers=_layers(24, 16, 4096),
        norm_first=True,
        pos_conv_kernel=128,
        pos_conv_groups=16,
        normalize_waveform=True,
    )


def wavlm_mini() -> SSLConfig:
    """The embedded demo's encoder: WavLM Large's recipe at 0.7 M parameters."""
    return SSLConfig(
        family="wavlm",
        conv_layers=_front_end(48),
        conv_norm="layer",
        conv_bias=False,
        embed_dim=96,
        num_heads=6,
        head_dim=16,
        layers=_layers(6, 6, 384),
        norm_first=True,
        pos_conv_kernel=32,
        pos_conv_groups=16,
        normalize_waveform=True,
        num_buckets=64,
        max_distance=200,
        projection_dropout=0.05,
        attention_dropout=0.0,
        hidden_dropout=0.05,
    )


PRESETS = {preset.__name__: preset for preset in (wavlm_base_plus, wavlm_large, wavlm_mini)}
