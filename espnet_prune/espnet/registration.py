"""Enter this project's classes and data types into ESPnet's own tables."""

from __future__ import annotations

import numpy as np
from espnet2.tasks import asr, diar, slu
from espnet2.train.dataset import DATA_TYPES

from espnet_prune.diarization.windows import WindowAudio, WindowLabels
from espnet_prune.espnet.frontend import PrunedSSLFrontend


class _FloatLabels(WindowLabels):
    """Frame labels as ESPnet's collation wants them: float, so that padding is silence."""

    def __getitem__(self, key: str) -> np.ndarray:
        return super().__getitem__(key).astype(np.float32)


def _labels(path: str, loader_type: str) -> _FloatLabels:
    return _FloatLabels(path, max_speakers=int(loader_type.rsplit("_", 1)[1]))


def _enter(table: dict, name: str, entry: object) -> None:
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
    "help": "Who speaks in each frame of a window, at most N speakers (window_labels_N): lines "
    "`window recording start end`, rttm beside them.",
}


def register() -> None:
    """Make ``frontend: pruned_ssl`` and the window data types known; calling it again is fine.

    Raises:
        RuntimeError: another package has taken one of the names.
    """
    for task in (asr, diar, slu):
        _enter(task.frontend_choices.classes, "pruned_ssl", PrunedSSLFrontend)
    _enter(DATA_TYPES, "window_sound", _WINDOW_AUDIO)
    _enter(DATA_TYPES, r"window_labels_\d+", _WINDOW_LABELS)
