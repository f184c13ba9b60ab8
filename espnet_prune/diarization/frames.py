"""Where the frames of an encoder lie in its audio: the one grid of labels, windows and turns."""

from __future__ import annotations

from dataclasses import dataclass

from espnet_prune.diarization.audio import SAMPLE_RATE
from espnet_prune.ssl import SSLConfig


@dataclass(frozen=True)
class FrameGrid:
    """The frames of an encoder; the defaults are those of WavLM, HuBERT and wav2vec 2.0.

    Attributes:
        hop: samples at 16 kHz between the starts of two frames.
        receptive_field: samples that one frame sees.

    Raises:
        ValueError: one of them is not above zero.
    """

    hop: int = 320
    receptive_field: int = 400

    def __post_init__(self) -> None:
        if min(self.hop, self.receptive_field) < 1:
            raise ValueError(f"expected a hop and a receptive field above zero, found {self}")

    @classmethod
    def of(cls, encoder: SSLConfig) -> FrameGrid:
        """The grid of the encoder that a configuration describes."""
        return cls(encoder.hop, encoder.receptive_field)

    @property
    def shift(self) -> float:
        """Seconds from a frame to the next."""
        return self.hop / SAMPLE_RATE

    @property
    def centre(self) -> float:
        """Seconds from the start of the audio to the centre of the first frame."""
        return self.receptive_field / 2 / SAMPLE_RATE

    def num_frames(self, num_samples: int) -> int:
        """Count the frames of samples at 16 kHz: by default 399 of 8 s."""
        return max(0, (num_samples - self.receptive_field) // self.hop + 1)
