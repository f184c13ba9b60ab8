"""Windows of long recordings as data types of ESPnet's datasets."""

from __future__ import annotations

import numpy as np
from espnet2.train.dataset import DATA_TYPES

from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.windows import WindowAudio, WindowLabels


class _FloatLabels(WindowLabels):
    """Frame labels as ESPnet's collation wants them: float, so that padding is silence."""

    def __getitem__(self, key: str) -> np.ndarray:
        return super().__getitem__(key).astype(np.float32)


def _labels(path: str, loader_type: str) -> _FloatLabels:
    speakers, *grid = map(int, loader_type.removeprefix("window_labels_").split("_"))
    return _FloatLabels(path, speakers, FrameGrid(*grid))


def enter(table: dict, name: str, entry: object) -> None:
    """Add ``entry`` to one of ESPnet's tables, once.

    Raises:
        RuntimeError: ``name`` is taken by something else.
    """
    if table.setdefault(name, entry) is not entry:
        raise RuntimeError(f"{name!r} is registered already, as {table[name]!r}")


_WINDOW_AUDIO = {
    "func": WindowAudio,
    "kwargs": [],
    "help": "Windows of long recordings: lines `window recording start end`, wav.scp beside them.",
}
_WINDOW_LABELS = {
    "func": _labels,
    "kwargs": ["loader_type"],
    "help": "Who speaks in each frame of a window, at most N speakers (window_labels_N), "
    "in frames of 20 ms or of an encoder's hop and first frame in samples, and where its centre "
    "is if not in the middle (window_labels_N_HOP_FIRST or _HOP_FIRST_CENTRE; Whisper's are "
    "window_labels_N_320_160_0): lines `window recording start end`, rttm beside them.",
}


def register_data_types() -> None:
    """Make ``window_sound`` and ``window_labels_N`` known; calling it again is fine.

    Raises:
        RuntimeError: another package has taken one of the names.
    """
    enter(DATA_TYPES, "window_sound", _WINDOW_AUDIO)
    enter(DATA_TYPES, r"window_labels_\d+(_[1-9]\d*_[1-9]\d*(_\d+)?)?", _WINDOW_LABELS)
