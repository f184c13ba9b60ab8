"""Mean and deviation over the frames of each local speaker: of spectra or hidden states, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from espnet_prune.diarization.embedding.base import Stretch, cut_windows, log_mel
from espnet_prune.encoder import ConfigError, SSLConfig

_TINY = 1e-8


def weighted_statistics(
    features: Tensor, weights: Tensor, floor: float = 0.0, unbiased: bool = False
) -> Tensor:
    """Weighted mean and standard deviation over frames, side by side: ``(B, S, 2 D)``.

    Of features ``(B, L, D)`` under weights ``(B, L, S)``, at least 0; zeros where all weights are.
    The variance is at least ``floor``; ``unbiased`` it is that of reliability weights, n / (n - 1)
    times the biased one for n equal weights, and 0 of a single frame.
    """
    total = weights.sum(1, keepdim=True)
    share = weights / total.clamp(min=_TINY)
    means = share.transpose(1, 2) @ features
    # Deviations from the mean itself: mean square less squared mean loses what is small. One
    # speaker at a time, so that memory does not grow with their number.
    variances = [
        torch.einsum("bl,bld->bd", share[:, :, speaker], (features - mean[:, None]).square())
        for speaker, mean in enumerate(means.unbind(1))
    ]
    variance = torch.stack(variances, dim=1)
    if unbiased:
        variance = variance / (1 - share.square().sum(1)).clamp(min=_TINY)[:, :, None]
    statistics = torch.cat([means, variance.clamp(min=floor).sqrt()], dim=-1)
    return statistics * (total > 0).transpose(1, 2)


def resampled(weights: Tensor, size: int) -> Tensor:
    """Weights ``(B, K, S)`` at ``size`` equidistant frames, ``(B, size, S)``.

    Each takes the weight of the frame where it starts, as in pyannote.audio. A speaker that is
    missed so, active between those frames only, has the mean weights of their surroundings.
    """
    weights = weights.transpose(1, 2)
    picked = functional.interpolate(weights, size=size, mode="nearest")
    averaged = functional.adaptive_avg_pool1d(weights, size)
    missed = picked.sum(-1, keepdim=True) == 0
    return torch.where(missed, averaged, picked).transpose(1, 2)


@dataclass(frozen=True)
class PooledStates:
    """Mean and deviation of hidden state ``layer`` over a local speaker's frames, E = 2 D."""

    layer: int = 0

    @classmethod
    def of(cls, encoder: SSLConfig, layer: int) -> PooledStates:
        """Of a state that may be counted from the end; ConfigError if there is none."""
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
        """As of :class:`SpeakerEmbedder`."""
        return weighted_statistics(states[self.layer], weights, floor=_TINY)


class PooledSpectra:
    """Mean and deviation of Kaldi's log mel spectra over a local speaker's frames, E = 160."""

    layers: Collection[int] = ()

    def __call__(self, stretch: Stretch, states: Mapping[int, Tensor], weights: Tensor) -> Tensor:
        """As of :class:`SpeakerEmbedder`."""
        spectra = log_mel(stretch.samples.to(weights), "povey")
        windows = cut_windows(spectra, stretch.starts, stretch.size)
        return weighted_statistics(windows, resampled(weights, windows.size(1)))
