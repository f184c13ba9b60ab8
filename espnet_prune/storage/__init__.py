"""One folder per model: config, weights and card, written atomically and read strictly."""

from typing import TYPE_CHECKING

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.lazy import lazy_names

if TYPE_CHECKING:
    from espnet_prune.storage.checkpoint import load_encoder, push_encoder, save_encoder
else:
    __getattr__, __dir__ = lazy_names(
        __name__, {"checkpoint": "load_encoder push_encoder save_encoder"}
    )

__all__ = ["CheckpointError", "load_encoder", "push_encoder", "save_encoder"]
