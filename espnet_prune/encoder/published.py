"""Shapes of the pruned encoders that others have published, as facts."""

from __future__ import annotations

from dataclasses import replace

from espnet_prune.encoder.config import SSLConfig, TransformerLayerConfig

# Channels per convolution, kept heads and FFN units per layer, of BUT-FIT's
# diarizen-wavlm-{base,large}-s80-md (Han et al., 2025), from DiariZen's wavlm_config.py, a60b181.
BASE_PLUS_S80_CHANNELS = (90, 161, 173, 181, 351, 155, 137)
BASE_PLUS_S80_LAYERS = (
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
)
LARGE_S80_CHANNELS = (512, 153, 224, 255, 302, 368, 211)
LARGE_S80_LAYERS = (
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
)


def reshaped(
    dense: SSLConfig,
    channels: tuple[int, ...],
    layers: tuple[tuple[tuple[int, ...], int], ...],
) -> SSLConfig:
    """``dense`` with these channels per convolution, and (heads, FFN units) per layer."""
    return replace(
        dense,
        conv_layers=tuple(
            replace(layer, channels=kept)
            for layer, kept in zip(dense.conv_layers, channels, strict=True)
        ),
        layers=tuple(TransformerLayerConfig(heads, ffn) for heads, ffn in layers),
    )
