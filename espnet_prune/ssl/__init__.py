"""What an encoder is: its shape, its forward pass, its files."""

from espnet_prune.ssl.checkpoint import load_encoder, save_encoder
from espnet_prune.ssl.config import (
    ConfigError,
    ConvLayerConfig,
    SSLConfig,
    TransformerLayerConfig,
)
from espnet_prune.ssl.featurizer import Featurizer
from espnet_prune.ssl.masks import LayerMasks, Masks, open_masks, unit_sizes
from espnet_prune.ssl.model import EncoderOutput, SSLEncoder
from espnet_prune.ssl.presets import PRESETS
from espnet_prune.ssl.safetensors import CheckpointError

__all__ = [
    "PRESETS",
    "CheckpointError",
    "ConfigError",
    "ConvLayerConfig",
    "EncoderOutput",
    "Featurizer",
    "LayerMasks",
    "Masks",
    "SSLConfig",
    "SSLEncoder",
    "TransformerLayerConfig",
    "load_encoder",
    "open_masks",
    "save_encoder",
    "unit_sizes",
]
