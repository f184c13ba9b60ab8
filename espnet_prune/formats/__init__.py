"""Checkpoints that others publish or read, converted exactly or refused by CheckpointError."""

from espnet_prune.formats.huggingface import export_huggingface
from espnet_prune.formats.sources import SOURCES, find_source, import_encoder

__all__ = ["SOURCES", "export_huggingface", "find_source", "import_encoder"]
