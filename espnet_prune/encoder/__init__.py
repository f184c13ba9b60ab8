"""What an encoder is: its shape, its forward pass, its masks."""

from typing import TYPE_CHECKING

from espnet_prune.lazy import lazy_names

if TYPE_CHECKING:
    from espnet_prune.encoder.config import ConvLayerConfig, SSLConfig, TransformerLayerConfig
    from espnet_prune.encoder.families import FAMILIES, Family
    from espnet_prune.encoder.featurizer import Featurizer
    from espnet_prune.encoder.masks import LayerMasks, Masks, open_masks, unit_sizes
    from espnet_prune.encoder.model import EncoderOutput, SSLEncoder, Storage
    from espnet_prune.encoder.presets import PRESETS
    from espnet_prune.encoder.typed import ConfigError
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "config": "ConvLayerConfig SSLConfig TransformerLayerConfig",
            "families": "FAMILIES Family",
            "featurizer": "Featurizer",
            "masks": "LayerMasks Masks open_masks unit_sizes",
            "model": "EncoderOutput SSLEncoder Storage",
            "presets": "PRESETS",
            "typed": "ConfigError",
        },
    )

__all__ = [
    "FAMILIES",
    "PRESETS",
    "ConfigError",
    "ConvLayerConfig",
    "EncoderOutput",
    "Family",
    "Featurizer",
    "LayerMasks",
    "Masks",
    "SSLConfig",
    "SSLEncoder",
    "Storage",
    "TransformerLayerConfig",
    "open_masks",
    "unit_sizes",
]
