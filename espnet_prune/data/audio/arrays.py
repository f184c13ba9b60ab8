"""Samples in memory, read as a file is."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espnet_prune.data.audio.files import problem_of
from espnet_prune.data.tables import DataError

# Beyond this floats are no samples from -1 to 1, but those of 16 bits, say.
_LOUDEST = 100.0


class ArrayAudio:
    """An array or tensor as :class:`~espnet_prune.data.audio.files.Audio`.

    Samples are ``(T,)``, or of several channels ``(T, C)`` or ``(C, T)``: the longer axis is time.
    Floats are from -1 to 1, integers are divided by the largest of their kind.

    Raises:
        DataError: calls it ``name``; another shape or type, no samples, or a rate that is none.
    """

    def __init__(self, samples: Any, rate: Any, name: str):
        array = _as_numpy(samples)
        if array.ndim not in (1, 2) or array.dtype.kind not in "fiu":
            raise DataError(
                "expected samples (T,), (T, channels) or (channels, T), real numbers, found "
                f"{array.dtype} of shape {array.shape} in {name}; convert them"
            )
        if not isinstance(rate, int | np.integer | float) or rate != int(rate):
            raise DataError(f"expected a rate in Hz, a whole number, found {rate!r} of {name}")
        if array.ndim == 1 or not array.size:
            array = array.reshape(-1, 1)
        self._samples = array.T if 0 < len(array) < array.shape[1] else array
        self._name, self._position = name, 0
        self.samplerate = int(rate)
        self.frames, self.channels = self._samples.shape
        if problem := problem_of(self, name):
            raise DataError(problem)

    def read(self, frames: int, dtype: str, always_2d: bool) -> NDArray[Any]:
        """The next ``(T, channels)``, no more than ``frames``, scaled to -1 to 1."""
        block = self._samples[self._position : self._position + frames]
        self._position += len(block)
        if block.dtype.kind == "f":
            if len(block) and (loudest := float(abs(block).max())) > _LOUDEST:
                raise DataError(
                    f"expected samples from -1 to 1, found {loudest:g} in {self._name}; divide "
                    "them, those of 16 bits by 32768, or give integers"
                )
            return block.astype(dtype)
        half = 2.0 ** (8 * block.dtype.itemsize - 1)
        return block.astype(dtype) / half - (block.dtype.kind == "u")

    def close(self) -> None:
        """Nothing is held."""


def _as_numpy(samples: Any) -> NDArray[Any]:
    torch = sys.modules.get("torch")  # who has a tensor has imported it
    if torch and isinstance(samples, torch.Tensor):
        samples = samples.detach().cpu()
        # NumPy has no bfloat16.
        samples = (samples.float() if samples.is_floating_point() else samples).numpy()
    return np.asarray(samples)
