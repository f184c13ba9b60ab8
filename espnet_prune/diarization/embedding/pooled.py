"""Embeddings that need no further model: hidden states or spectra, pooled."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import Tensor

from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.embedding.pooling import resampled, weighted_statistics
from espnet_prune.diarization.embedding.spectra import cut_windows, log_mel
from espnet_prune.encoder import ConfigError, SSLConfig

_SMALLEST_VARIANCE = 1e-8


@dataclass(frozen=True)
class PooledStates:
    """Mean and deviation of one hidden state over a local speaker's frames, E = 2 D.

    Attributes:
        layer: which hidden state; 0 is the Transformer's input.
    """

    layer: int = 0

    @classmethod
    def of(cls, encoder: SSLConfig, layer: int) -> PooledStates:
        """Of a state that may be counted from the end.

        Raises:
            ConfigError: the encoder does not have it.
        """
        states = len(encoder.layers) + 1
        if not -states <= layer < states:
            raise ConfigError(
                f"expected an embedding_layer of {-states} to {states - 1}, found {layer}"
            )
        return cls(layer % states)

    @property
    def layers(self) -> Collection[int]:
        """That one."""
        return (self.layer,)

    def __call__(self, stretch: Stretch, states: Mapping[int, Tensor], weights: Tensor) -> Tensor:
        """As of :class:`~espnet_prune.diarization.embedding.base.SpeakerEmbedder`."""
        return weighted_statistics(states[self.layer], weights, floor=_SMALLEST_VARIANCE)


class PooledSpectra:
    """Mean and deviation of Kaldi's log mel spectra over a local speaker's frames, E = 160."""

    layers: Collection[int] = ()

    def __call__(self, stretch: Stretch, states: Mapping[int, Tensor], weights: Tensor) -> Tensor:
        """As of :class:`~espnet_prune.diarization.embedding.base.SpeakerEmbedder`."""
        spectra = log_mel(stretch.samples.to(weights), "povey")
        windows = cut_windows(spectra, stretch.starts, stretch.size)
        return weighted_statistics(windows, resampled(weights, windows.size(1)))
