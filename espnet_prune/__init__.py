"""Structured pruning of speech self-supervised encoders inside ESPnet and s3prl."""

from typing import TYPE_CHECKING

from espnet_prune.lazy import lazy_names

if TYPE_CHECKING:
    from espnet_prune.diarization.pipeline import Diarizer
    from espnet_prune.encoder import PRESETS, Masks, SSLConfig, SSLEncoder, open_masks
    from espnet_prune.formats.sources import STORAGE as STORAGE
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "diarization.pipeline": "Diarizer",
            "encoder": "PRESETS Masks SSLConfig SSLEncoder open_masks",
            "formats.sources": "STORAGE",
        },
    )

__version__ = "0.1.0"

__all__ = ["PRESETS", "Diarizer", "Masks", "SSLConfig", "SSLEncoder", "open_masks"]
