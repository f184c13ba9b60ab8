"""What ESPnet's own modules are told: front end, pruning, windows as data, the schedule."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from espnet2.train.dataset import DATA_TYPES

from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.windows import WindowAudio, WindowLabels
from espnet_prune.espnet.frontend import NAME, PrunedSSLFrontend
from espnet_prune.espnet.optimizers import WarmupLinearDecayLR
from espnet_prune.espnet.prunable import make_prunable


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


def adapt(host: ModuleType) -> None:
    """Make a module of ``espnet2.tasks``, or a task of ESPnet3, know what is ours.

    Calling it again is fine.

    Every task with a front end for speech gets ``frontend: pruned_ssl`` and can prune; what any
    task may use goes into the tables of ``abs_task``.

    Raises:
        RuntimeError: another package has taken a name.
    """
    if host.__name__.endswith(".abs_task"):
        _enter(DATA_TYPES, "window_sound", _WINDOW_AUDIO)
        _enter(DATA_TYPES, r"window_labels_\d+(_[1-9]\d*_[1-9]\d*(_\d+)?)?", _WINDOW_LABELS)
        _enter(host.scheduler_classes, "warmuplineardecaylr", WarmupLinearDecayLR)
    choices = getattr(host, "frontend_choices", None)
    if choices and "default" in choices.classes:  # the front ends of mt read tokens
        _enter(choices.classes, NAME, PrunedSSLFrontend)
        for value in list(vars(host).values()):
            if hasattr(value, "build_model_from_file") and value.__module__ == host.__name__:
                make_prunable(value)


def _enter(table: dict, name: str, entry: object) -> None:
    if table.setdefault(name, entry) is not entry:
        raise RuntimeError(f"{name!r} is registered already, as {table[name]!r}")
