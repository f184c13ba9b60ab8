"""Encoders in the formats that others read."""

from espnet_prune.ssl.exporters.huggingface import export_huggingface

__all__ = ["export_huggingface"]
