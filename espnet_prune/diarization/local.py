"""What the windows of a recording tell: who is active in each, and what they sound like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from espnet_prune.data.audio import SAMPLE_RATE, AudioStream
from espnet_prune.diarization.clustering.base import assign
from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.inference_config import InferenceConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.networks import Networks, Told
from espnet_prune.encoder import ConfigError
from espnet_prune.inference.workers import num_workers, workers

# Windows per forward pass: on a CPU, more of them take more memory and no less time.
_BATCH, _BATCH_ELSEWHERE = 2, 32

Watch = Callable[[Sequence[int]], Iterable[int]]
"""Passes on the first samples of the windows, say under a progress bar."""


def telling(callback: Callable[[int, int], object]) -> Watch:
    """What calls ``callback`` with the number of windows that are done, and of all of them."""

    def watch(starts: Sequence[int]) -> Iterator[int]:
        for done, start in enumerate(starts):
            callback(done, len(starts))
            yield start
        callback(len(starts), len(starts))

    return watch


class LocalSpeakers(NamedTuple):
    """The speakers of every window of a recording.

    Attributes:
        activity: ``(W, L, S)`` uint8, zeros and ones.
        alone: ``(W, S)`` number of frames in which that speaker alone is active.
        embeddings: ``(N, E)`` float32 of those that are active at all, window by window.
        first_frames: ``(W,)`` frame of the recording at which each window starts.
        num_frames: of the recording.
    """

    activity: NDArray[np.uint8]
    alone: NDArray[np.int64]
    embeddings: NDArray[np.float32]
    first_frames: NDArray[np.int64]
    num_frames: int

    @property
    def active(self) -> NDArray[np.bool_]:
        """``(W, S)`` which are active at all, N of them."""
        return np.any(self.activity, axis=1)

    @classmethod
    def joined(cls, parts: Sequence[LocalSpeakers]) -> LocalSpeakers:
        """Consecutive parts of a recording, up to the end of the last."""
        return cls(
            np.concatenate([part.activity for part in parts]),
            np.concatenate([part.alone for part in parts]),
            _stacked(part.embeddings for part in parts),
            np.concatenate([part.first_frames for part in parts]),
            parts[-1].num_frames,
        )

    def assigned(self, centroids: NDArray[np.floating]) -> NDArray[np.int64]:
        """The cluster ``(W, S)`` of every local speaker, of those with centroids ``(M, E)``.

        The inactive are -1, and so are those whom a window has beyond the number of clusters.
        """
        active = self.active
        labels = np.full(active.shape, -1, dtype=np.int64)
        if active.any():
            labels[active] = assign(self.embeddings, np.nonzero(active)[0], centroids)
        return labels


class LocalDiarizer:
    """Run the local model and the speaker embeddings over the windows of a recording.

    Raises:
        ConfigError: a precision that the device does not have, a hidden state that the encoder
            does not have, a step that is longer than a window or shorter than a frame, or a
            stretch that is shorter than a window.
    """

    def __init__(
        self, model: DiarizationModel, config: InferenceConfig, device: torch.device | str = "cpu"
    ):
        self.config = config
        self.grid = FrameGrid.of(model.encoder.config)
        self.size = round(model.config.window_size * SAMPLE_RATE)
        self.frames = self.grid.num_frames(self.size)
        if self.frames < 1:
            raise ConfigError(
                f"expected windows of {self.grid.shortest / SAMPLE_RATE:g} s, which one "
                f"frame hears, or longer, found {model.config.window_size:g} s"
            )
        require_step(model, config.step)
        if config.stretch is not None and config.stretch < model.config.window_size:
            raise ConfigError(
                f"expected a stretch of the window's {model.config.window_size:g} s or more, found "
                f"{config.stretch:g} s"
            )
        # A window has no frames of its last samples: the next begins no later than where they are.
        self.step = min(self.frames, round(config.step * SAMPLE_RATE / self.grid.hop))
        self.slots = model.config.max_speakers
        self.networks = Networks(model, config, device)

    def starts(self, num_samples: int) -> list[int]:
        """First samples of the windows, whole frames; the last window, if any, reaches the end."""
        if self.grid.num_frames(num_samples) < 1:
            return []
        step = self.step * self.grid.hop
        starts = list(range(0, max(1, num_samples - self.size + 1), step))
        if starts[-1] + self.size < num_samples:
            starts.append(-(-(num_samples - self.size) // self.grid.hop) * self.grid.hop)
        return starts

    def __call__(self, audio: AudioStream, watch: Watch = iter) -> LocalSpeakers:
        """Read a recording that was not read from yet, window by window, batch by batch."""
        starts = self.starts(audio.num_samples)
        activity = np.zeros((len(starts), self.frames, self.slots), dtype=np.uint8)
        alone = np.zeros((len(starts), self.slots), dtype=np.int64)
        embeddings: list[NDArray[np.float32] | None] = []
        first = 0
        stretches = self._stretches(audio, watch(starts), self._batch(len(starts)))
        with workers(self.networks.device) as each:
            for told in each(self._run, stretches):
                windows = slice(first, first + len(told.activity))
                activity[windows, : told.activity.shape[1]] = told.activity
                alone[windows] = told.alone
                embeddings.append(told.embeddings)
                first = windows.stop
        return LocalSpeakers(
            activity,
            alone,
            _stacked(embeddings),
            np.array(starts, dtype=np.int64) // self.grid.hop,
            self.grid.num_frames(audio.num_samples),
        )

    def window(self, samples: NDArray[np.float32], first: int) -> LocalSpeakers:
        """The speakers of one window, which starts at a frame of the recording.

        Below zero, ``first`` is where it would start if it were not short. Frames that it does not
        have lie before the recording then, and after its end otherwise.
        """
        whole = torch.from_numpy(samples).to(self.networks.device)
        told = self._run(Stretch(whole, (0,), len(samples)))
        begin = max(0, -first)
        end = begin + told.activity.shape[1]
        activity = np.zeros((1, self.frames, self.slots), dtype=np.uint8)
        activity[:, begin:end] = told.activity
        firsts = np.array([first], dtype=np.int64)
        return LocalSpeakers(activity, told.alone, _stacked([told.embeddings]), firsts, first + end)

    def _batch(self, windows: int) -> int:
        """Windows per forward pass; few enough for all workers to have some."""
        if self.config.stretch is not None:
            rest = round(self.config.stretch * SAMPLE_RATE) - self.size
            return 1 + rest // (self.step * self.grid.hop)
        if self.config.batch_size is not None:
            return self.config.batch_size
        device = self.networks.device
        most = _BATCH if device.type == "cpu" else _BATCH_ELSEWHERE
        return max(1, min(most, -(-windows // num_workers(device))))

    def _run(self, stretch: Stretch) -> Told:
        if self.config.stretch is None:
            wavs = torch.stack([stretch.samples[s : s + stretch.size] for s in stretch.starts])
            return self.networks.tell(stretch, self.networks.hear(wavs))
        firsts = [start // self.grid.hop for start in stretch.starts]
        whole = self.networks.hear(stretch.samples[None])
        cut = whole.windows(firsts, self.grid.num_frames(stretch.size))
        return self.networks.tell(stretch, cut)

    def _stretches(
        self, audio: AudioStream, starts: Iterable[int], count: int
    ) -> Iterator[Stretch]:
        """So many windows of one length at a time, each as the audio that it spans."""
        batch: list[int] = []
        for start in starts:
            # Only the last window may be shorter; then it comes by itself.
            short = start + self.size > audio.num_samples
            if batch and (len(batch) == count or short):
                yield self._stretch(audio, batch)
                batch = []
            batch.append(start)
        if batch:
            yield self._stretch(audio, batch)

    def _stretch(self, audio: AudioStream, starts: Sequence[int]) -> Stretch:
        samples = torch.from_numpy(audio.read(starts[0], starts[-1] + self.size))
        inside = tuple(start - starts[0] for start in starts)
        return Stretch(samples.to(self.networks.device), inside, min(self.size, len(samples)))


def _stacked(parts: Iterable[NDArray[np.float32] | None]) -> NDArray[np.float32]:
    """All embeddings ``(N, E)`` of some parts, of which any may have none."""
    found = [part for part in parts if part is not None and len(part)]
    return np.concatenate(found) if found else np.zeros((0, 0), dtype=np.float32)


def require_step(model: DiarizationModel, step: float) -> None:
    """Raise ConfigError unless windows of the model meet at a step of so many seconds."""
    shift, window = FrameGrid.of(model.encoder.config).shift, model.config.window_size
    if not shift <= step <= window:
        raise ConfigError(
            f"expected a step of {shift:g} s, one frame, to the window's {window:g} s, found "
            f"{step:g} s; others leave audio unheard"
        )
