"""One folder per model: config, weights and card, written atomically and read strictly."""

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.storage.checkpoint import load_encoder, push_encoder, save_encoder

__all__ = ["CheckpointError", "load_encoder", "push_encoder", "save_encoder"]
