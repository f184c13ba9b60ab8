"""Memory does not grow with the length of a recording, but for what each window leaves."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from espnet_prune import Diarizer
from espnet_prune.data.audio import AudioStream
from espnet_prune.diarization.pipeline import InferenceConfig
from tests.diarization.scripted import VOICES, scripted_model, write_script

MINUTES = (1, 5)


class LargestTensor(TorchDispatchMode):
    """Notices the largest tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numel = max(self.numel, result.numel())
        return result


@pytest.fixture
def meeting(tmp_path: Path):
    def write(minutes: int, rate: int = 16000) -> Path:
        turns = [(3.0 * i, 3.0 * i + 2.8, i % 3) for i in range(20 * minutes)]
        return write_script(tmp_path / f"{minutes}.wav", turns, 60.0 * minutes, rate)

    return write


def peaks(path: Path) -> tuple[int, int, int]:
    """The peak in bytes of what NumPy and Python hold, the largest tensor, and the windows."""
    config = InferenceConfig(step=1.0, batch_size=4, max_clustered=50)
    diarizer = Diarizer(scripted_model(), config)
    with AudioStream(path) as audio:
        windows = len(diarizer.local.starts(audio.num_samples))
    tracemalloc.start()
    with LargestTensor() as largest:
        turns = diarizer.diarize(path, "m")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(turns) == windows // 3 + 1
    return peak, largest.numel, windows


@pytest.mark.parametrize("rate", [16000, 8000])
def test_a_longer_meeting_needs_what_its_windows_leave(meeting, rate: int) -> None:
    diarizer = Diarizer(scripted_model())
    diarizer.diarize(meeting(1, rate), "m")  # what is imported on first use
    (short, tensor, few), (long, same_tensor, many) = (peaks(meeting(m, rate)) for m in MINUTES)
    assert tensor == same_tensor > 0
    # Of each window: activity of 99 frames and 3 slots, at most 2 embeddings, held twice while
    # they are joined; of each second: 50 frames of 3 speakers; and some bookkeeping.
    allowed = (many - few) * (99 * 3 + 2 * 2 * 2 * VOICES * 4 + 50 * 3 + 1000)
    audio = (many - few) * 16000 * 4
    assert long - short < allowed < audio / 30


def test_a_window_leaves_bytes_and_floats(meeting) -> None:
    diarizer = Diarizer(scripted_model(), InferenceConfig(step=1.0))
    with AudioStream(meeting(1)) as audio:
        local = diarizer.local(audio)
    assert local.activity.dtype == np.uint8 and local.embeddings.dtype == np.float32
    assert len(local.embeddings) == local.active.sum() < local.active.size
