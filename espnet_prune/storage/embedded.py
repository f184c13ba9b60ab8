"""Pre-trained encoders that come with this package, in float16, and need no network."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "pretrained"

EMBEDDED = {name: _FOLDER / name for name in ("whisper_tiny_en",)}
"""From the names that users load them by to their folders, which hold licence and provenance."""
