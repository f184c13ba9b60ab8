"""Where the frames of an encoder lie in its audio: the one grid of labels, windows and turns."""

from __future__ import annotations

from dataclasses import dataclass

from espnet_prune.data.audio import SAMPLE_RATE
from espnet_prune.encoder import SSLConfig


@dataclass(frozen=True)
class FrameGrid:
    """The frames of an encoder; the defaults are those of WavLM, HuBERT and wav2vec 2.0.

    Attributes:
        hop: samples at 16 kHz between the starts of two frames.
        shortest: samples of the first frame; each hop more gives another.
        first_centre: samples from the start of the audio to the centre of the first frame; None
            stands for half of ``shortest``.

    Raises:
        ValueError: ``hop`` or ``shortest`` is not above zero.
    """

    hop: int = 320
    shortest: int = 400
    first_centre: float | None = None

    def __post_init__(self) -> None:
        if min(self.hop, self.shortest) < 1:
            raise ValueError(f"expected a hop and a first frame above zero, found {self}")

    @classmethod
    def of(cls, encoder: SSLConfig) -> FrameGrid:
        """The grid of the encoder that a configuration describes."""
        centre = encoder.first_centre
        in_middle = 2 * centre == encoder.shortest
        return cls(encoder.hop, encoder.shortest, None if in_middle else centre)

    @property
    def name(self) -> str:
        """What says it in the name of a data type, such as ``320_400`` or ``320_160_0``."""
        centre = "" if self.first_centre is None else f"_{self.first_centre:g}"
        return f"{self.hop}_{self.shortest}{centre}"

    @property
    def shift(self) -> float:
        """Seconds from a frame to the next."""
        return self.hop / SAMPLE_RATE

    @property
    def centre(self) -> float:
        """Seconds from the start of the audio to the centre of the first frame."""
        samples = self.shortest / 2 if self.first_centre is None else self.first_centre
        return samples / SAMPLE_RATE

    def num_frames(self, num_samples: int) -> int:
        """Count the frames of samples at 16 kHz: by default 399 of 8 s."""
        return max(0, (num_samples - self.shortest) // self.hop + 1)
