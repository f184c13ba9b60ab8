"""The logarithm of mel-filtered power, as Whisper hears it."""

from __future__ import annotations

import contextlib
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_prune.encoder.norm import length_mask

SAMPLE_RATE, WINDOW, HOP = 16000, 400, 160  # Hz, samples, samples
BINS = WINDOW // 2 + 1  # frequencies


class LogMel(nn.Module):
    """Log-mel features of 16 kHz waveforms, equal to those of ``WhisperFeatureExtractor``.

    A Hann window of 400 samples every 160, its power through 80 or (large-v3) 128 of Slaney's mel
    filters, the logarithm to base 10 not below the item's own maximum less 8, then
    ``(x + 4) / 4``; always in float32 or better. The filters ``(bands, 402)`` take the squares of
    real and imaginary parts in turn.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, bands: int):
        super().__init__()
        self.register_buffer("window", hann().float(), persistent=False)
        filters = mel_filters(bands).float().repeat_interleave(2, dim=1)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, wavs: Tensor, lengths: Tensor | None) -> Tensor:
        """Waveforms ``(B, T)`` and samples ``(B,)`` to features ``(B, T // 160, bands)``.

        Each item is reflected at its own end, and what lies beyond its ``length // 160`` features
        is zero. None stands for items without padding.
        """
        frames = wavs.size(1) // HOP
        with _without_autocast(wavs.device.type):
            dtype = torch.promote_types(self.filters.dtype, torch.float32)
            x = _reflected(wavs.to(dtype), lengths, frames)
            power = F.linear(self.spectra(x).square(), self.filters.to(dtype))
            x = power.clamp(min=1e-10).log10()
            if lengths is None:
                return _compressed(x)
            inside = length_mask(lengths // HOP, frames)[..., None]
            return _compressed(x.masked_fill(~inside, -10.0)) * inside

    def spectra(self, wavs: Tensor) -> Tensor:
        """Real and imaginary part in turn ``(B, M, 402)`` of windows of ``(B, 160 M + 240)``."""
        windows = wavs.unfold(1, WINDOW, HOP) * self.window
        return torch.view_as_real(torch.fft.rfft(windows)).flatten(2)


def _without_autocast(device: str) -> contextlib.AbstractContextManager[object]:
    # Exporters write the context itself down, needed or not.
    needed = torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if needed else contextlib.nullcontext()


def _compressed(x: Tensor) -> Tensor:
    return (torch.maximum(x, x.amax((1, 2), keepdim=True) - 8.0) + 4.0) / 4.0


def _reflected(wavs: Tensor, lengths: Tensor | None, frames: int) -> Tensor:
    """Waveforms ``(B, T)``, mirrored at both ends of each item, as far as ``frames`` windows go."""
    size = torch.full_like(wavs[:, 0], wavs.size(1), dtype=torch.long)
    last = (size if lengths is None else lengths)[:, None] - 1
    index = torch.arange((frames - 1) * HOP + WINDOW, device=wavs.device) - WINDOW // 2
    # What is mirrored at the start may lie beyond the end, in items shorter than half a window.
    return wavs.gather(1, (last - (last - index.abs()).abs()).clamp(min=0))


def hann() -> Tensor:
    """Hann's window of 400 samples, the period of a cosine, in float64."""
    return torch.hann_window(WINDOW, dtype=torch.float64, device="cpu")


def mel_filters(bands: int) -> Tensor:
    """Triangles of equal area on Slaney's mel scale up to 8 kHz, ``(bands, 201)`` in float64.

    The scale (Slaney, Auditory Toolbox, 1998) is linear below 1 kHz, at 3 mel per 200 Hz, and
    logarithmic above, at 27 mel for a factor of 6.4.
    """
    step = math.log(6.4) / 27
    top = 15 + math.log(SAMPLE_RATE / 2 / 1000) / step
    mels = torch.arange(bands + 2, dtype=torch.float64, device="cpu") * (top / (bands + 1))
    edges = torch.where(mels < 15, mels * 200 / 3, 1000 * torch.exp((mels - 15) * step))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = torch.arange(BINS, dtype=torch.float64, device="cpu") * (SAMPLE_RATE / WINDOW)
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    return torch.minimum(rising, falling).clamp(min=0) * (2 / (high - low))
