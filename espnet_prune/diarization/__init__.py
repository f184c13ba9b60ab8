"""Speaker diarization: turns and regions, data directories, windows, powerset, scoring."""

from __future__ import annotations

from espnet_prune.diarization.audio import SAMPLE_RATE
from espnet_prune.diarization.data_dir import (
    DataDir,
    Statistics,
    check_data_dir,
    read_data_dir,
    scored_regions,
    write_data_dir,
)
from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.powerset import FrameErrors, Powerset
from espnet_prune.diarization.rttm import (
    Turn,
    from_annotation,
    read_rttm,
    to_annotation,
    write_rttm,
)
from espnet_prune.diarization.scoring import Score, Scores, score
from espnet_prune.diarization.tables import DataError
from espnet_prune.diarization.uem import Region, read_uem, write_uem
from espnet_prune.diarization.windows import (
    TurnIndex,
    Window,
    WindowAudio,
    WindowLabels,
    cut_windows,
    frame_labels,
    write_windows,
)

__all__ = [
    "SAMPLE_RATE",
    "DataDir",
    "DataError",
    "FrameErrors",
    "FrameGrid",
    "Powerset",
    "Region",
    "Score",
    "Scores",
    "Statistics",
    "Turn",
    "TurnIndex",
    "Window",
    "WindowAudio",
    "WindowLabels",
    "check_data_dir",
    "cut_windows",
    "frame_labels",
    "from_annotation",
    "read_data_dir",
    "read_rttm",
    "read_uem",
    "score",
    "scored_regions",
    "to_annotation",
    "write_data_dir",
    "write_rttm",
    "write_uem",
    "write_windows",
]
