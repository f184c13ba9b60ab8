"""Small encoders of every kind, and random masks, for the tests."""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch

from espnet_prune.encoder import (
    PRESETS,
    ConvLayerConfig,
    Masks,
    SSLConfig,
    SSLEncoder,
    TransformerLayerConfig,
    open_masks,
)

# The norm of the front end, and whether the Transformer is pre-norm: the published base and large
# models, and the two other combinations (wav2vec 2.0 Large on LibriSpeech is a wide base).
NORMS = {
    "base": ("group", False),
    "large": ("layer", True),
    "group_pre": ("group", True),
    "layer_post": ("layer", False),
}
WAVEFORM_KINDS = list(itertools.product(("wavlm", "hubert", "wav2vec2"), NORMS))
# Whisper at the input's own length, and padded to 3 s.
KINDS = [*WAVEFORM_KINDS, ("whisper", "own"), ("whisper", "padded")]


def tiny_config(family: str = "wavlm", size: str = "large", **changes) -> SSLConfig:
    """An encoder of a few thousand parameters with layers of different shapes."""
    whisper = family == "whisper"
    conv_norm, norm_first = ("none", True) if whisper else NORMS[size]
    values = dict(
        family=family,
        conv_layers=(
            ConvLayerConfig(6, 10, 5),
            ConvLayerConfig(8, 3, 2),
            ConvLayerConfig(7, 2, 2),
        ),
        conv_norm=conv_norm,
        conv_bias=conv_norm == "layer",
        embed_dim=16,
        num_heads=4,
        head_dim=4,
        layers=(
            TransformerLayerConfig((0, 1, 2, 3), 12),
            TransformerLayerConfig((0, 2, 3), 9),
            TransformerLayerConfig((1, 3), 11),
        ),
        norm_first=norm_first,
        pos_conv_kernel=8,
        pos_conv_groups=4,
        normalize_waveform=conv_norm == "layer",
        num_buckets=16,
        max_distance=32,
    )
    if whisper:
        values |= dict(
            conv_layers=(ConvLayerConfig(7, 3, 1),),
            conv_bias=True,
            pos_conv_kernel=0,
            mel_bands=6,
            padded_to=3.0 if size == "padded" else None,
        )
    return SSLConfig(**{**values, **changes})


def thin_config(*kind: str) -> SSLConfig:
    """As :func:`tiny_config`; most maps are two thin ones, of which some save weights."""
    config = tiny_config(*kind)
    ranks = [(13, 5, 6, 0), (9, 9, 4, 7), (0, 3, 2, 3)]
    layers = zip(config.layers, ranks, strict=True)
    return replace(config, layers=tuple(replace(layer, ranks=each) for layer, each in layers))


def mini_encoder() -> SSLEncoder:
    """An encoder of :func:`mini_config` before any training."""
    torch.manual_seed(0)
    return SSLEncoder(mini_config()).eval()


def mini_config() -> SSLConfig:
    """WavLM Large's recipe at 0.7 M parameters, enough to be pruned to a target in seconds."""
    large = PRESETS["wavlm_large"]()
    return replace(
        large,
        conv_layers=tuple(replace(conv, channels=48) for conv in large.conv_layers),
        embed_dim=96,
        num_heads=6,
        head_dim=16,
        layers=(TransformerLayerConfig(tuple(range(6)), 384),) * 6,
        pos_conv_kernel=32,
    )


def random_encoder(config: SSLConfig, seed: int = 0) -> SSLEncoder:
    """An encoder in eval mode whose every parameter, biases and norms too, is random."""
    torch.manual_seed(seed)
    encoder = SSLEncoder(config).eval()
    with torch.no_grad():
        for value in [*encoder.parameters(), *_saved_buffers(encoder)]:
            value.add_(0.3 * torch.randn_like(value))
    return encoder


def _saved_buffers(encoder: SSLEncoder) -> list[torch.Tensor]:
    saved = encoder.state_dict()
    return [buffer for name, buffer in encoder.named_buffers() if name in saved]


def random_masks(config: SSLConfig, seed: int = 0, units: tuple[str, ...] | None = None) -> Masks:
    """Masks with about half of the units closed, in some layers all (never a whole convolution)."""
    generator = torch.Generator().manual_seed(seed)

    def draw(mask):
        values = torch.rand(mask.shape, generator=generator) * 0.9 + 0.1
        return values * (torch.rand(mask.shape, generator=generator) < 0.5)

    masks = open_masks(config)
    drawn = {unit: tuple(map(draw, getattr(masks, unit))) for unit in units or Masks._fields}
    for mask in drawn.get("conv", ()):
        mask[0] = 0.7
    return masks._replace(**drawn)
