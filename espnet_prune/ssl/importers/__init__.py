"""Encoders out of the checkpoints that others publish, converted exactly or refused."""

from espnet_prune.ssl.importers.sources import import_encoder

__all__ = ["import_encoder"]
