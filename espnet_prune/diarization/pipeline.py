"""From an audio file to who spoke when: windows, local model, clustering, stitching."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from torch import Tensor

from espnet_prune.diarization.audio import SAMPLE_RATE, open_audio
from espnet_prune.diarization.clustering import assign, centroids_of, cluster
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.rttm import Turn, to_annotation
from espnet_prune.diarization.stitching import stitch, to_turns
from espnet_prune.ssl import ConfigError
from espnet_prune.ssl.inference import PRECISIONS, inference_form

if TYPE_CHECKING:
    from pyannote.core import Annotation


@dataclass(frozen=True)
class InferenceConfig:
    """How windows become a recording.

    Attributes:
        step: seconds from the start of a window to the start of the next.
        threshold: cosine distance at which clustering stops merging.
        median: width of the median filter on each local speaker's activity, in frames, odd.
        min_share: a local speaker takes part in clustering if alone active in this share of the
            window's frames; the others are assigned afterwards.
        embedding_layer: the hidden state whose mean and deviation over a local speaker's frames
            are its embedding; 0 is the Transformer's input.
        batch_size: windows per forward pass.
        precision: of the encoder: ``float32``, or faster and less exact ``bfloat16`` or (on a CPU)
            ``int8``.

    Raises:
        ConfigError: an unknown precision.
    """

    step: float = 2.0
    threshold: float = 0.2
    median: int = 11
    min_share: float = 0.1
    embedding_layer: int = 0
    batch_size: int = 8
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"expected a precision of {', '.join(PRECISIONS)}, found {self.precision!r}"
            )


class LocalResult(NamedTuple):
    """Activity ``(W, L, S)``, embeddings ``(W, S, E)`` and frames alone ``(W, S)`` of windows."""

    activity: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    alone: NDArray[np.float32]


class Diarizer:
    """Diarize recordings of any length with a local model.

    Args:
        model: the local model.
        config: how windows are cut and joined.
    """

    def __init__(self, model: DiarizationModel, config: InferenceConfig | None = None):
        self.model = model.eval()
        self.config = config or InferenceConfig()
        self.encoder = inference_form(model.encoder, PRECISIONS[self.config.precision])

    @classmethod
    def from_pretrained(cls, folder: str | Path, config: InferenceConfig | None = None) -> Diarizer:
        """Load whatever :meth:`DiarizationModel.from_pretrained` reads.

        Raises:
            CheckpointError: no such model in ``folder``.
        """
        return cls(DiarizationModel.from_pretrained(folder), config)

    def __call__(self, path: str | Path) -> Annotation:
        """Diarize one 16 kHz mono file.

        Raises:
            DataError: the file is missing, unreadable, or of another rate or channel count.
        """
        name = Path(path).stem
        return to_annotation(self.diarize(path, name), name)

    @torch.no_grad()
    def diarize(self, path: str | Path, recording: str) -> list[Turn]:
        """The turns of one file, named as of ``recording``; none if nobody speaks."""
        with open_audio(path) as audio:
            samples = audio.frames
            encoder = self.model.encoder.config
            num_frames = encoder.num_frames(samples)
            if num_frames < 1:
                return []
            starts = self._starts(samples)
            local = self._run(audio, starts)
        labels = self._cluster(local)
        first_frames = np.array(starts) // encoder.hop
        return to_turns(stitch(local.activity, labels, first_frames, num_frames), recording)

    def _starts(self, samples: int) -> list[int]:
        """First samples of the windows, whole frames; the last window reaches the end."""
        hop = self.model.encoder.config.hop
        size = round(self.model.config.window_size * SAMPLE_RATE)
        step = max(1, round(self.config.step * SAMPLE_RATE / hop)) * hop
        starts = list(range(0, max(1, samples - size + 1), step))
        if starts[-1] + size < samples:
            starts.append(-(-(samples - size) // hop) * hop)
        return starts

    def _run(self, audio, starts: list[int]) -> LocalResult:
        size = round(self.model.config.window_size * SAMPLE_RATE)
        frames = self.model.encoder.config.num_frames(size)
        results = [self._forward(batch, frames) for batch in self._batches(audio, starts, size)]
        return LocalResult(*(np.concatenate(parts) for parts in zip(*results, strict=True)))

    def _batches(self, audio, starts: list[int], size: int) -> Iterator[Tensor]:
        """Batches of windows of one length ``(B, T)``: a short last one comes by itself."""
        batch: list[Tensor] = []
        for start in starts:
            audio.seek(start)
            window = torch.from_numpy(audio.read(size, dtype="float32"))
            if batch and (len(batch) == self.config.batch_size or len(window) != len(batch[0])):
                yield torch.stack(batch)
                batch = []
            batch.append(window)
        yield torch.stack(batch)

    def _forward(self, wavs: Tensor, num_frames: int) -> LocalResult:
        states, frames = self.encoder(wavs)
        states = [state.float() for state in states]
        features = self.model.featurizer.mix(states)
        activity = self.model.powerset.to_multilabel(self.model.head(features, frames))
        filtered = median_filter(activity.numpy(), size=(1, self.config.median, 1), mode="reflect")
        activity = torch.from_numpy(filtered)
        alone = activity * (activity.sum(-1, keepdim=True) == 1)
        clean = alone.sum(1)
        weights = torch.where((clean > 0)[:, None], alone, activity)
        embeddings = _pool(states[self.config.embedding_layer], weights)
        missing = num_frames - activity.size(1)
        activity = torch.nn.functional.pad(activity, (0, 0, 0, missing))
        return LocalResult(activity.numpy(), embeddings.numpy(), clean.numpy())

    def _cluster(self, local: LocalResult) -> NDArray[np.int64]:
        """The cluster of every window's local speakers ``(W, S)``, -1 for the inactive."""
        active: NDArray[np.bool_] = np.any(local.activity, axis=1)
        labels = np.full(active.shape, -1, dtype=np.int64)
        if not active.any():
            return labels
        windows = np.broadcast_to(np.arange(len(active))[:, None], active.shape)
        enough = active & (local.alone >= self.config.min_share * local.activity.shape[1])
        chosen = enough if enough.any() else active
        clusters = cluster(local.embeddings[chosen], windows[chosen], self.config.threshold)
        centroids = centroids_of(local.embeddings[chosen], clusters)
        labels[active] = assign(local.embeddings[active], windows[active], centroids)
        return labels


def _pool(states: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean and deviation of states ``(B, L, D)`` under ``(B, L, S)``: ``(B, S, 2 D)``."""
    share = (weights / weights.sum(1, keepdim=True).clamp(min=1e-6)).transpose(1, 2)
    mean = share @ states
    variance = (share @ states.square() - mean.square()).clamp(min=1e-8)
    return torch.cat([mean, variance.sqrt()], dim=-1)
