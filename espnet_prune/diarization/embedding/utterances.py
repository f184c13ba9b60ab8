"""Speaker embeddings of whole utterances, or of parts of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from espnet_prune.data.audio import open_audio
from espnet_prune.data.tables import DataError
from espnet_prune.data.utterances import UtteranceDir, read_utterance_dir
from espnet_prune.diarization.embedding.base import SpeakerEmbedder, Stretch
from espnet_prune.encoder import SSLEncoder


@dataclass(frozen=True)
class UtteranceEmbedder:
    """Embeds an utterance as a window whose only speaker is active in a part of it."""

    embedder: SpeakerEmbedder
    encoder: SSLEncoder

    @torch.no_grad()
    def __call__(self, samples: Tensor, start: int = 0, size: int | None = None) -> Tensor:
        """The embedding ``(E,)`` of ``size`` samples from ``start`` of ``(T,)`` at 16 kHz."""
        kept = {}
        if self.embedder.layers:
            states, _ = self.encoder.stream(samples[None])
            kept = {n: state.float() for n, state in enumerate(states) if n in self.embedder.layers}
        hop = self.encoder.config.hop
        weights = torch.zeros(1, self.encoder.config.num_frames(len(samples)), 1)
        weights[:, start // hop : None if size is None else (start + size) // hop] = 1
        stretch = Stretch(samples, (0,), len(samples))
        return self.embedder(stretch, kept, weights)[0, 0].float()


def read_whole_utterances(folder: Path) -> UtteranceDir:
    """A data directory with an audio file per utterance.

    Raises:
        DataError: a file is missing or damaged, or the utterances are segments.
    """
    data = read_utterance_dir(folder)
    if data.segments is not None:
        raise DataError(
            f"{folder}: expected an audio file per utterance, found segments; check_data makes "
            "files of them"
        )
    return data


def read_samples(path: str) -> Tensor:
    """The samples ``(T,)`` of a file of 16 kHz, mono."""
    with open_audio(path) as audio:
        return torch.from_numpy(audio.read(dtype="float32"))
