"""Structured pruning of speech self-supervised encoders inside ESPnet and s3prl."""

from espnet_prune.encoder import PRESETS, Masks, SSLConfig, SSLEncoder, Storage, open_masks
from espnet_prune.formats import import_encoder
from espnet_prune.storage import push_encoder, save_encoder

SSLEncoder.storage = Storage(import_encoder, save_encoder, push_encoder)

__version__ = "0.1.0"

__all__ = ["PRESETS", "Diarizer", "Masks", "SSLConfig", "SSLEncoder", "open_masks"]


def __getattr__(name: str):
    # The diarizer needs pyannote and scikit-learn; the core does without them.
    if name == "Diarizer":
        from espnet_prune.diarization.pipeline import Diarizer

        return Diarizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
