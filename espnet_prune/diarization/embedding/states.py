"""Embeddings that need no further model: a hidden state of the SSL encoder, pooled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.embedding.pooling import weighted_statistics

_SMALLEST_VARIANCE = 1e-8


@dataclass(frozen=True)
class PooledStates:
    """Mean and deviation of one hidden state over a local speaker's frames, E = 2 D.

    Attributes:
        layer: which hidden state; 0 is the Transformer's input.
    """

    layer: int = 0

    def __call__(self, stretch: Stretch, states: Mapping[int, Tensor], weights: Tensor) -> Tensor:
        """As of :class:`~espnet_prune.diarization.embedding.base.SpeakerEmbedder`."""
        return weighted_statistics(states[self.layer], weights, floor=_SMALLEST_VARIANCE)
