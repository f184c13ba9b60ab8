"""What a speaker embedding is made of: windows of audio, their Kaldi spectra, and weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torchaudio.compliance import kaldi

from espnet_prune.data.audio import SAMPLE_RATE

NUM_MELS = 80
_FRAME, _SHIFT = SAMPLE_RATE * 25 // 1000, SAMPLE_RATE * 10 // 1000


class Stretch(NamedTuple):
    """Consecutive audio ``(T,)``, float32 at 16 kHz, that holds all windows of a batch.

    They overlap; each has ``size`` samples from its start, a multiple of 20 ms.
    """

    samples: Tensor
    starts: tuple[int, ...]
    size: int

    def part(self, rows: Sequence[int]) -> Stretch:
        """The stretch of some of its windows, in their order."""
        first, last = self.starts[rows[0]], self.starts[rows[-1]]
        starts = tuple(self.starts[row] - first for row in rows)
        return self._replace(samples=self.samples[first : last + self.size], starts=starts)


class SpeakerEmbedder(Protocol):
    """Tells what the local speakers of windows sound like."""

    @property
    def layers(self) -> Collection[int]:
        """Numbers of the hidden states that it pools, 0 of the Transformer's input."""
        ...

    def __call__(self, stretch: Stretch, states: Mapping[int, Tensor], weights: Tensor) -> Tensor:
        """Embed every local speaker of every window: ``(B, S, E)``, zeros without any weight.

        Args:
            stretch: the audio of the windows.
            states: hidden states ``(B, L, D)`` of the SSL encoder by their number, those at least
                of :attr:`layers`.
            weights: ``(B, L, S)``, at least 0: how much each frame tells about each speaker.
        """
        ...


def log_mel(samples: Tensor, window: str) -> Tensor:
    """Kaldi's log mel spectra of samples ``(T,)`` at 16 kHz, one every 10 ms: ``(L, 80)``.

    Each is of its own 25 ms alone, so those of a window are a part of those of the recording.
    ``window`` is the shape that a network was trained with, ``hamming`` or ``povey``.
    """
    return kaldi.fbank(
        samples[None] * 2**15,  # Kaldi's samples are 16 bit integers.
        num_mel_bins=NUM_MELS,
        sample_frequency=SAMPLE_RATE,
        window_type=window,
    )


def cut_windows(spectra: Tensor, starts: Sequence[int], size: int) -> Tensor:
    """The windows of ``size`` samples at ``starts`` of spectra ``(L, 80)``: ``(B, L', 80)``."""
    count = num_spectra(size)
    return torch.stack([spectra[start // _SHIFT :][:count] for start in starts])


def num_spectra(size: int) -> int:
    """Of so many samples."""
    return (size - _FRAME) // _SHIFT + 1
