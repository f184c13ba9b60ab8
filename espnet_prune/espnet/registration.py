"""Enter the front end, windows as data and the schedule into the choices of ESPnet's own tasks."""

from __future__ import annotations

import numpy as np
from espnet2.tasks.abs_task import scheduler_classes
from espnet2.train.dataset import DATA_TYPES

from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.windows import WindowAudio, WindowLabels
from espnet_prune.espnet.frontend import PrunedSSLFrontend
from espnet_prune.espnet.optimizers import WarmupLinearDecayLR


class _FloatLabels(WindowLabels):
    """Frame labels as ESPnet's collation wants them: float, so that padding is silence."""

    def __getitem__(self, key: str) -> np.ndarray:
        return super().__getitem__(key).astype(np.float32)


def _labels(path: str, loader_type: str) -> _FloatLabels:
    speakers, *grid = map(int, loader_type.removeprefix("window_labels_").split("_"))
    return _FloatLabels(path, speakers, FrameGrid(*grid))


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


def register_tables() -> None:
    """Make the data types and the schedule known, which any task may use."""
    _enter(DATA_TYPES, "window_sound", _WINDOW_AUDIO)
    _enter(DATA_TYPES, r"window_labels_\d+(_[1-9]\d*_[1-9]\d*(_\d+)?)?", _WINDOW_LABELS)
    _enter(scheduler_classes, "warmuplineardecaylr", WarmupLinearDecayLR)


def register() -> None:
    """Make ``frontend: pruned_ssl`` and what else is ours known; calling it again is fine."""
    from espnet2.tasks import asr, diar, slu  # slow to import, and not needed by every task

    register_tables()
    for task in (asr, diar, slu):
        _enter(task.frontend_choices.classes, "pruned_ssl", PrunedSSLFrontend)


def _enter(table: dict, name: str, entry: object) -> None:
    if table.setdefault(name, entry) is not entry:
        raise RuntimeError(f"{name!r} is registered already, as {table[name]!r}")
