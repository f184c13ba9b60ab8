"""What the windows of a recording tell: who is active in each, and what they sound like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from torch import Tensor, nn

from espnet_prune.data.audio import SAMPLE_RATE, AudioStream
from espnet_prune.diarization.embedding import make_embedder
from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.inference_config import InferenceConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import ConfigError
from espnet_prune.inference import fast_dtype, inference_form, usable_device

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


class LocalDiarizer:
    """Run the local model and the speaker embeddings over the windows of a recording.

    Raises:
        ConfigError: a precision that the device does not have, a hidden state that the encoder
            does not have, or a step that is longer than a window or shorter than a frame.
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
        require_step(model, config)
        self.model = model.eval()
        self.embedder = make_embedder(
            config.embedding, model.encoder.config, config.embedding_layer
        )
        self.kept_layers = self.embedder.layers
        self.to(device)

    def to(self, device: torch.device | str) -> None:
        """Move the model and the embeddings; ConfigError of a device without the precision."""
        kind = str(device).partition(":")[0]
        if self.config.precision == "int8" and kind != "cpu":
            raise ConfigError(
                f"expected a precision of float32, bfloat16 or float16 of {kind}, found int8, "
                "which only CPUs have"
            )
        self.device = usable_device(device)
        self.model.to(self.device)
        dtype = fast_dtype(self.config.precision, self.device)
        self.encoder = inference_form(self.model.encoder, dtype)
        if isinstance(self.embedder, nn.Module):
            self.embedder.to(self.device)

    def starts(self, num_samples: int) -> list[int]:
        """First samples of the windows, whole frames; the last window, if any, reaches the end."""
        if self.grid.num_frames(num_samples) < 1:
            return []
        # A window has no frames of its last samples: the next begins no later than where they are.
        step = min(self.frames, round(self.config.step * SAMPLE_RATE / self.grid.hop))
        step *= self.grid.hop
        starts = list(range(0, max(1, num_samples - self.size + 1), step))
        if starts[-1] + self.size < num_samples:
            starts.append(-(-(num_samples - self.size) // self.grid.hop) * self.grid.hop)
        return starts

    @torch.no_grad()
    def __call__(self, audio: AudioStream, watch: Watch = iter) -> LocalSpeakers:
        """Read a recording that was not read from yet, window by window, batch by batch."""
        starts = self.starts(audio.num_samples)
        slots = self.model.config.max_speakers
        activity = np.zeros((len(starts), self.frames, slots), dtype=np.uint8)
        alone = np.zeros((len(starts), slots), dtype=np.int64)
        embeddings = []
        first = 0
        for stretch in self._stretches(audio, watch(starts)):
            windows = slice(first, first + len(stretch.starts))
            found, clean, voices = self._run(stretch)
            activity[windows, : found.shape[1]] = found
            alone[windows] = clean
            if voices is not None:
                embeddings.append(voices)
            first = windows.stop
        return LocalSpeakers(
            activity,
            alone,
            np.concatenate(embeddings) if embeddings else np.zeros((0, 0), dtype=np.float32),
            np.array(starts, dtype=np.int64) // self.grid.hop,
            self.grid.num_frames(audio.num_samples),
        )

    def _stretches(self, audio: AudioStream, starts: Iterable[int]) -> Iterator[Stretch]:
        """Batches of windows of one length, each as the audio that it spans."""
        batch: list[int] = []
        for start in starts:
            # Only the last window may be shorter; then it comes by itself.
            short = start + self.size > audio.num_samples
            if batch and (len(batch) == self.config.batch_size or short):
                yield self._stretch(audio, batch)
                batch = []
            batch.append(start)
        if batch:
            yield self._stretch(audio, batch)

    def _stretch(self, audio: AudioStream, starts: Sequence[int]) -> Stretch:
        samples = torch.from_numpy(audio.read(starts[0], starts[-1] + self.size))
        inside = tuple(start - starts[0] for start in starts)
        return Stretch(samples.to(self.device), inside, min(self.size, len(samples)))

    def _run(
        self, stretch: Stretch
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float32] | None]:
        """Activity ``(B, L, S)``, frames alone ``(B, S)``, embeddings of the active ``(N, E)``."""
        wavs = torch.stack([stretch.samples[s : s + stretch.size] for s in stretch.starts])
        kept: dict[int, Tensor] = {}
        states, frames = self.encoder.stream(wavs)
        scores = self.model.head(self.model.featurizer.mix(self._keeping(states, kept)), frames)
        decided = self.model.powerset.to_multilabel(scores).cpu().numpy().astype(np.uint8)
        activity = median_filter(decided, size=(1, self.config.median, 1), mode="reflect")
        alone = activity * (activity.sum(axis=-1, keepdims=True) == 1)
        clean = alone.sum(axis=1, dtype=np.int64)
        # Overlap says little about a voice, but more than nothing.
        weights = np.where((clean > 0)[:, None], alone, activity)
        voices = self._embed(stretch, kept, weights) if weights.any() else None
        return activity, clean, voices

    def _keeping(self, states: Iterable[Tensor], kept: dict[int, Tensor]) -> Iterator[Tensor]:
        """The states ``(B, L, D)`` as float32; those that the embeddings need stay."""
        for layer, state in enumerate(states):
            state = state.float()
            if layer in self.kept_layers:
                kept[layer] = state
            yield state

    def _embed(
        self, stretch: Stretch, states: Mapping[int, Tensor], weights: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """Embeddings ``(N, E)`` of the local speakers that ``(B, L, S)`` gives any weight."""
        active = np.any(weights, axis=1)
        rows = np.flatnonzero(active.any(axis=1))
        starts = [stretch.starts[row] for row in rows]
        spanned = stretch.samples[starts[0] : starts[-1] + stretch.size]
        spoken = Stretch(spanned, tuple(start - starts[0] for start in starts), stretch.size)
        chosen = torch.from_numpy(rows).to(self.device)
        shares = torch.from_numpy(weights[rows].astype(np.float32)).to(self.device)
        theirs = {layer: state[chosen] for layer, state in states.items()}
        voices = self.embedder(spoken, theirs, shares)
        return voices.float().cpu().numpy()[active[rows]]


def require_step(model: DiarizationModel, config: InferenceConfig) -> None:
    """Raise ConfigError unless windows of the model meet at the step that is configured."""
    shift, window = FrameGrid.of(model.encoder.config).shift, model.config.window_size
    if not shift <= config.step <= window:
        raise ConfigError(
            f"expected a step of {shift:g} s, one frame, to the window's {window:g} s, found "
            f"{config.step:g} s; others leave audio unheard"
        )
