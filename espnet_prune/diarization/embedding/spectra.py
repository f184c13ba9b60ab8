"""Kaldi's log mel spectra, which the networks that tell voices apart hear."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchaudio.compliance import kaldi

from espnet_prune.data.audio import SAMPLE_RATE

NUM_MELS = 80
_FRAME, _SHIFT = SAMPLE_RATE * 25 // 1000, SAMPLE_RATE * 10 // 1000


def log_mel(samples: Tensor, window: str) -> Tensor:
    """Kaldi's log mel spectra of samples ``(T,)``, one every 10 ms: ``(L, 80)``.

    Each is of its own 25 ms alone, so those of a window are a part of those of the recording.

    Args:
        samples: at 16 kHz.
        window: the shape that a network was trained with, ``hamming`` or ``povey``.
    """
    return kaldi.fbank(
        samples[None] * 2**15,  # Kaldi's samples are 16 bit integers.
        num_mel_bins=NUM_MELS,
        frame_length=25.0,
        frame_shift=10.0,
        sample_frequency=SAMPLE_RATE,
        window_type=window,
        dither=0.0,
        use_energy=False,
    )


def cut_windows(spectra: Tensor, starts: Sequence[int], size: int) -> Tensor:
    """The windows of ``size`` samples at ``starts`` of spectra ``(L, 80)``: ``(B, L', 80)``."""
    count = num_spectra(size)
    return torch.stack([spectra[start // _SHIFT :][:count] for start in starts])


def num_spectra(size: int) -> int:
    """Of so many samples."""
    return (size - _FRAME) // _SHIFT + 1
