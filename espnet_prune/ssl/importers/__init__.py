"""Encoders out of the checkpoints that others publish, converted exactly or refused."""

from espnet_prune.ssl.importers.sources import SOURCES, find_source, import_encoder

__all__ = ["SOURCES", "find_source", "import_encoder"]
