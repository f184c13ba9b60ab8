"""A meeting of real voices, a model that knows who speaks in it, and a small embedding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from espnet_prune.diarization.head import DiarizationConfig, HeadConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import Featurizer
from tests.diarization.scripted import real_convs
from tests.encoders import tiny_config

CORPUS = Path(__file__).parents[2] / "egs2/mini_corpus/LibriSpeech/test-other"
READERS = ("1688/142285/1688-142285", "1998/15444/1998-15444", "2033/164914/2033-164914")
VOICES, PERIOD = len(READERS), 12800  # samples
# Windows are of 8 s, and 0.8 s apart: what they cut off is 0.8 s long or longer.
SECONDS = 12.0
MEETING = [(0.8, 4.0, 0), (3.2, 5.6, 1), (6.4, 8.8, 2), (8.0, 9.6, 0), (9.6, 11.2, 1)]
THRESHOLD = 0.002  # of `mel`: a voice is 1e-4 from itself, and 5e-3 from the others


class _LastBits(nn.Module):
    """An encoder that reads who speaks from the last bits of the samples, as every state."""

    def __init__(self) -> None:
        super().__init__()
        self.config = tiny_config(conv_layers=real_convs())

    def stream(self, wavs: Tensor, lengths: Tensor | None = None):
        frames = self.config.num_frames(wavs.size(1))
        centres = wavs[:, int(self.config.first_centre) :: self.config.hop][:, :frames] * 2**15
        halves = [(centres / 2**voice).floor() for voice in range(VOICES + 1)]
        states = torch.stack([halves[i] - 2 * halves[i + 1] for i in range(VOICES)], dim=-1)
        count = len(self.config.layers) + 1
        return iter([states] * count), torch.full((wavs.size(0),), frames)


class _NearestClass(nn.Module):
    """Scores ``(B, L, K)``: the highest is of the set of speakers who are active."""

    def __init__(self, mapping: Tensor):
        super().__init__()
        self.register_buffer("mapping", mapping)

    def inference_form(self, dtype: torch.dtype) -> _NearestClass:
        return self

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        return 2 * features @ self.mapping.T - self.mapping.sum(1)


def knowing_model() -> DiarizationModel:
    """A model, which exports, that knows who speaks in what :func:`write_meeting` writes."""
    config = DiarizationConfig(HeadConfig(16, 1, 2, 16, 3), VOICES, 2, window_size=8.0)
    model = DiarizationModel(Featurizer(_LastBits()), config)
    model.head = _NearestClass(model.powerset.mapping)
    return model.eval()


def write_meeting(path: Path) -> None:
    """Write real voices that talk as in MEETING; the last bits of each sample say who.

    Each says the same 0.8 s again and again, so that it always sounds the same.
    """
    samples = np.zeros(round(SECONDS * 16000), dtype=np.int64)
    codes = np.zeros_like(samples)
    for start, end, voice in MEETING:
        reader = CORPUS / f"{READERS[voice]}-0000.opus"
        spoken, _ = soundfile.read(reader, 16000 + PERIOD, dtype="int16")
        first, last = round(start * 16000), round(end * 16000)
        samples[first:last] += np.resize(spoken[16000:].astype(np.int64), last - first)
        codes[first:last] |= 1 << voice
    size = 1 << VOICES
    soundfile.write(path, (samples // size * size + codes).astype(np.int16), 16000)


def write_mel(path: Path) -> None:
    """Write our embedding ``mel``, mean and deviation of spectra, as sherpa-onnx reads it."""
    import onnx

    graph = onnx.parser.parse_model("""
        < ir_version: 8, opset_import: ["" : 17] >
        mel (float[1, L, 80] x) => (float[1, 160] embedding)
        {
            mean = ReduceMean <axes = [1], keepdims = 1> (x)
            less = Sub (x, mean)
            square = Mul (less, less)
            variance = ReduceMean <axes = [1], keepdims = 1> (square)
            deviation = Sqrt (variance)
            both = Concat <axis = 2> (mean, deviation)
            embedding = Flatten (both)
        }
    """)
    metadata = {"framework": "wespeaker", "language": "any", "sample_rate": "16000"}
    metadata |= {"output_dim": "160", "normalize_samples": "0"}
    onnx.helper.set_model_props(graph, metadata)
    onnx.save(graph, path)
