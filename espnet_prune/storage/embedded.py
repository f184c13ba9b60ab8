"""The models that come with this package."""

from __future__ import annotations

from pathlib import Path

DIARIZER = "diarizer"
"""The diarization model among them."""
EMBEDDED = {
    name: Path(__file__).parents[1] / "pretrained" / name for name in ("whisper_tiny_en", DIARIZER)
}
"""The folders, in float16, with licence and provenance, by the names that users load them by."""
