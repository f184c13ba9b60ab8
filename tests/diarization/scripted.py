"""A local diarization model whose outputs the audio itself dictates.

Every 20 ms of audio hold one value, the sum of 2**v over the voices v that speak. The encoder reads
it back, the head gives each voice that a window has a slot, in the order of appearance, and the
embedding of a voice is its own axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from espnet_prune.diarization.head import DiarizationConfig, HeadConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import ConvLayerConfig, Featurizer, SSLConfig
from tests.encoders import tiny_config

VOICES, SCALE, HOP = 8, 512, 320
KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)


def real_convs() -> tuple[ConvLayerConfig, ...]:
    """Convolutions with the frames of the published encoders."""
    return tuple(ConvLayerConfig(4, k, s) for k, s in zip(KERNELS, STRIDES, strict=True))


class ScriptedEncoder(nn.Module):
    """Frames ``(B, L, VOICES)`` of who speaks, as every hidden state."""

    def __init__(self, config: SSLConfig | None = None) -> None:
        super().__init__()
        self.config = config or tiny_config(conv_layers=real_convs())

    def stream(
        self, wavs: Tensor, lengths: Tensor | None = None
    ) -> tuple[Iterator[Tensor], Tensor]:
        frames = self.config.num_frames(wavs.size(1))
        centres = wavs[:, int(self.config.first_centre) :: self.config.hop][:, :frames]
        codes = (centres * SCALE).round().long().clamp(min=0)
        states = torch.stack([(codes >> voice) & 1 for voice in range(VOICES)], dim=-1).float()
        count = len(self.config.layers) + 1
        return iter([states] * count), torch.full((len(wavs),), frames)


class ScriptedHead(nn.Module):
    """Scores ``(B, L, K)`` of the voices in the order in which each window hears them."""

    def __init__(self, model: DiarizationModel):
        super().__init__()
        self.powerset, self.slots = model.powerset, model.config.max_speakers

    def inference_form(self, dtype: torch.dtype) -> ScriptedHead:
        return self

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        active = features.round()
        multilabel = torch.zeros(*active.shape[:2], self.slots)
        for window, frames in zip(multilabel, active, strict=True):
            heard = frames.sum(0) > 0
            first = torch.where(heard, frames.argmax(0), frames.size(0))
            for slot, voice in enumerate(first.argsort()[: int(heard.sum())][: self.slots]):
                window[:, slot] = frames[:, voice]
        classes = self.powerset.to_classes(multilabel)
        return nn.functional.one_hot(classes, self.powerset.num_classes).float()


def scripted_model(
    max_speakers: int = 3,
    window_size: float = 2.0,
    encoder: SSLConfig | None = None,
) -> DiarizationModel:
    """The model, with frames as in ``encoder``; at most two of a window's speakers at a time."""
    config = DiarizationConfig(
        HeadConfig(16, 1, 2, 16, 3), max_speakers=max_speakers, window_size=window_size
    )
    model = DiarizationModel(Featurizer(ScriptedEncoder(encoder)), config)
    model.head = ScriptedHead(model)
    return model.eval()


def write_script(
    path: Path,
    turns: Sequence[tuple[float, float, int]],
    seconds: float,
    rate: int = 16000,
    channels: int = 1,
    format: str | None = None,
) -> Path:
    """Write audio in which voice v speaks from start to end, for every ``(start, end, v)``."""
    codes = np.zeros(round(seconds * 50), dtype=np.int64)
    for start, end, voice in turns:
        codes[round(start * 50) : round(end * 50)] |= 1 << voice
    samples = np.repeat(codes / SCALE, rate // 50)
    # The channels differ; their mean is the script.
    sides = samples[:, None] + 0.1 * (np.arange(channels) - (channels - 1) / 2)
    soundfile.write(path, sides, rate, format=format, subtype="PCM_24")
    return path
