"""Fixed-size windows of long recordings: where they lie, their audio and their frame labels."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from espnet_prune.data.audio import SAMPLE_RATE, open_audio, parse_wav, read_scp
from espnet_prune.data.rttm import Turn, read_rttm
from espnet_prune.data.tables import (
    DataError,
    check_interval,
    expect_fields,
    parse_seconds,
    read_table,
    write_lines,
)
from espnet_prune.data.uem import Region
from espnet_prune.diarization.frames import FrameGrid

LAYOUT = "<window> <recording> <start> <end>"
# Windows lie on a grid of 10 ms: their ids tell them apart, their edges are whole samples.
STEPS_PER_SECOND = 100
_GRID = FrameGrid()

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Window:
    """A stretch of a recording, in seconds, that is one training item (a Kaldi segment).

    Raises:
        ValueError: unless 0 <= start < end.
    """

    id: str
    recording: str
    start: float
    end: float

    def __post_init__(self) -> None:
        check_interval(self.start, self.end)

    @property
    def first_sample(self) -> int:
        """Index of the first sample at 16 kHz."""
        return round(self.start * SAMPLE_RATE)

    @property
    def num_samples(self) -> int:
        """Number of samples at 16 kHz."""
        return round(self.end * SAMPLE_RATE) - self.first_sample


def write_windows(path: str | Path, windows: Iterable[Window]) -> None:
    """Write a ``windows`` file atomically, sorted by id."""
    ordered = sorted(windows, key=lambda window: window.id)
    write_lines(path, [f"{w.id} {w.recording} {w.start:.2f} {w.end:.2f}" for w in ordered])


def _parse_window(fields: list[str]) -> Window:
    """Of a line of a ``windows`` or Kaldi ``segments`` file."""
    expect_fields(fields, LAYOUT)
    start, end = parse_seconds(fields[2], "start"), parse_seconds(fields[3], "end")
    return Window(fields[0], fields[1], start, end)


def cut_windows(regions: Mapping[str, Sequence[Region]], size: float, shift: float) -> list[Window]:
    """Cut windows of ``size`` seconds, ``shift`` apart, out of the scored regions, silent or not.

    A region ends with a full window aligned to its end; a region shorter than a window is one
    short window, one shorter than a frame is left out. Region edges move inwards to multiples of
    10 ms.

    Raises:
        ValueError: for a size or shift that is not a positive multiple of 10 ms.
    """
    size_steps, shift_steps = _steps(size, "window size"), _steps(shift, "window shift")
    windows = []
    for region in (region for recording in regions.values() for region in recording):
        first = math.ceil(region.start * STEPS_PER_SECOND - 1e-6)
        last = math.floor(region.end * STEPS_PER_SECOND + 1e-6)
        if _GRID.num_frames((last - first) * SAMPLE_RATE // STEPS_PER_SECOND) < 1:
            logger.warning("left out %s: shorter than one frame", region)
            continue
        starts = list(range(first, last - size_steps + 1, shift_steps))
        if not starts or starts[-1] + size_steps < last:
            starts.append(max(first, last - size_steps))
        for start in starts:
            end = min(start + size_steps, last)
            name = f"{region.recording}-{start:07d}-{end:07d}"
            seconds = start / STEPS_PER_SECOND, end / STEPS_PER_SECOND
            windows.append(Window(name, region.recording, *seconds))
    return windows


def _steps(seconds: float, name: str) -> int:
    steps = round(seconds * STEPS_PER_SECOND) if math.isfinite(seconds) else 0
    if steps < 1 or not math.isclose(steps, seconds * STEPS_PER_SECOND, abs_tol=1e-6):
        raise ValueError(
            f"expected a {name} that is a positive multiple of 0.01 s, found {seconds} s; round it"
        )
    return steps


def frame_labels(
    turns: Sequence[Turn], start: float, num_frames: int, max_speakers: int, grid: FrameGrid = _GRID
) -> NDArray[np.uint8]:
    """Tell who is active in each frame of a window, the most talkative speakers first.

    Frame ``l`` is active for a speaker if its centre, ``start + grid.centre + grid.shift * l``
    seconds, lies in one of the turns; those outside the window do no harm. Ties of total activity
    are broken by name, and speakers beyond ``max_speakers`` are left out.

    Returns:
        ``(num_frames, max_speakers)`` zeros and ones; columns without a speaker are zero.
    """
    names = sorted({turn.speaker for turn in turns})
    column_of = {name: column for column, name in enumerate(names)}
    columns = np.array([column_of[turn.speaker] for turn in turns], dtype=np.intp)
    edges = np.array([(turn.start, turn.end) for turn in turns]).reshape(-1, 2)
    # The tolerance of a millionth of a frame makes edges at a frame's centre exact: [start, end).
    frames = np.ceil((edges - start - grid.centre) / grid.shift - 1e-6)
    frames = frames.clip(0, num_frames).astype(np.intp)
    changes = np.zeros((num_frames + 1, len(names)), dtype=np.intp)
    np.add.at(changes, (frames[:, 0], columns), 1)
    np.add.at(changes, (frames[:, 1], columns), -1)
    active = changes[:num_frames].cumsum(axis=0) > 0
    kept = np.argsort(-active.sum(axis=0), kind="stable")[:max_speakers]
    labels = np.zeros((num_frames, max_speakers), dtype=np.uint8)
    labels[:, : len(kept)] = active[:, kept]
    return labels


class _WindowData(Mapping[str, np.ndarray]):
    """Arrays of the windows of a ``windows`` file, keyed by window id; files are read when used."""

    def __init__(self, windows_file: str | Path) -> None:
        self.windows_file = Path(windows_file)

    @cached_property
    def _windows(self) -> dict[str, Window]:
        return {window.id: window for window in read_table(self.windows_file, _parse_window)}

    def __iter__(self) -> Iterator[str]:
        return iter(self._windows)

    def __len__(self) -> int:
        return len(self._windows)

    def __contains__(self, key: object) -> bool:
        return key in self._windows

    def recording(self, key: str) -> str:
        """The recording that a window was cut from."""
        return self._windows[key].recording


class WindowAudio(_WindowData):
    """Audio of each window, (T,) float32 at 16 kHz, from the ``wav.scp`` beside the windows file.

    Relative paths in ``wav.scp`` start at the current folder, as everywhere in ESPnet.

    Raises:
        DataError: on access, for audio that is missing, unreadable or shorter than its window.
    """

    def __getitem__(self, key: str) -> NDArray[np.float32]:
        window = self._windows[key]
        if window.recording not in self._paths:
            raise DataError(
                f"expected recording {window.recording} of window {key} in "
                f"{self.windows_file.with_name('wav.scp')}, found none; cut the windows again"
            )
        path = self._paths[window.recording]
        with open_audio(path) as audio:
            audio.seek(min(window.first_sample, audio.frames))
            samples: NDArray[np.float32] = audio.read(window.num_samples, dtype="float32")
        if len(samples) != window.num_samples:
            raise DataError(
                f"expected {window.num_samples} samples from {window.start:g} s for window {key}, "
                f"found {len(samples)} in {path}; cut the windows again"
            )
        return samples

    @cached_property
    def _paths(self) -> dict[str, str]:
        return read_scp(self.windows_file.with_name("wav.scp"), parse_wav)


class WindowLabels(_WindowData):
    """Frame labels of each window, (L, S) uint8, from the ``rttm`` beside the windows file.

    Of a window with more than ``max_speakers``, S, the most talkative are kept; ``grid`` has the
    frames of the encoder that learns from the labels.
    """

    def __init__(
        self, windows_file: str | Path, max_speakers: int, grid: FrameGrid = _GRID
    ) -> None:
        super().__init__(windows_file)
        self.max_speakers = max_speakers
        self.grid = grid

    def __getitem__(self, key: str) -> NDArray[np.uint8]:
        window = self._windows[key]
        start, end = window.start, window.end
        listed = self._turns.get(window.recording, [])
        turns = [turn for turn in listed if turn.start < end and turn.end > start]
        length = self.grid.num_frames(window.num_samples)
        return frame_labels(turns, start, length, self.max_speakers, self.grid)

    @cached_property
    def _turns(self) -> dict[str, list[Turn]]:
        return read_rttm(self.windows_file.with_name("rttm"))
