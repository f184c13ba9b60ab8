"""What a speaker embedding is made of, and what makes one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from torch import Tensor


class Stretch(NamedTuple):
    """Consecutive audio that holds all windows of a batch, which overlap.

    Attributes:
        samples: ``(T,)`` float32 at 16 kHz.
        starts: the first sample of each window within ``samples``, whole frames of 20 ms.
        size: samples of a window.
    """

    samples: Tensor
    starts: tuple[int, ...]
    size: int


class SpeakerEmbedder(Protocol):
    """Tells what the local speakers of windows sound like."""

    @property
    def layers(self) -> Collection[int]:
        """Numbers of the hidden states that it pools, 0 of the Transformer's input."""
        ...

    def __call__(self, stretch: Stretch, states: Mapping[int, Tensor], weights: Tensor) -> Tensor:
        """Embed every local speaker of every window.

        Args:
            stretch: the audio of the windows.
            states: hidden states of the SSL encoder by their number, each ``(B, L, D)``; those at
                least of :attr:`layers`.
            weights: ``(B, L, S)``, at least 0: how much each frame of 20 ms tells about each
                local speaker.

        Returns:
            ``(B, S, E)``; zeros for a local speaker without any weight.
        """
        ...
