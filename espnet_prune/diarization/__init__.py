"""Speaker diarization: windows, powerset, models, embedding, clustering, pipeline."""

from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.powerset import FrameErrors, Powerset
from espnet_prune.diarization.windows import (
    Window,
    WindowAudio,
    WindowLabels,
    cut_windows,
    frame_labels,
    write_windows,
)

__all__ = [
    "FrameErrors",
    "FrameGrid",
    "Powerset",
    "Window",
    "WindowAudio",
    "WindowLabels",
    "cut_windows",
    "frame_labels",
    "write_windows",
]
