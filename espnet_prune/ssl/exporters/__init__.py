"""Encoders in the formats that others read."""

from espnet_prune.ssl.exporters.huggingface import export_huggingface
from espnet_prune.ssl.exporters.whisper_text import under_decoder

__all__ = ["export_huggingface", "under_decoder"]
