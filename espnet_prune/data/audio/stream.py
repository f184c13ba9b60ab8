"""A recording as a stream of 16 kHz mono, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from espnet_prune.data.audio.files import SAMPLE_RATE, blocks
from espnet_prune.data.audio.sources import Source, as_source


class AudioStream:
    """A recording as 16 kHz mono, read from front to end; the caller closes it.

    It is made of whatever :func:`~espnet_prune.data.audio.as_source` takes. Channels are averaged;
    other rates are resampled as they are read. What is held at a time is the stretch that was
    asked for last, and a block of ten seconds. ``num_samples`` is its length at 16 kHz.
    """

    def __init__(self, source: Source):
        self._source = as_source(source)
        self._audio = self._source.open()
        self.num_samples = max(1, round(self._audio.frames * SAMPLE_RATE / self._audio.samplerate))
        self._blocks = self._resampled()
        self._first = 0  # sample of the recording that _held starts at
        self._held = np.zeros(0, dtype=np.float32)

    def __enter__(self) -> AudioStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._audio.close()

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """The samples ``[start, stop)``, ``(T,)``; no earlier call had a later start."""
        if start < self._first:
            raise ValueError(f"expected a start of {self._first} or later, found {start}")
        stop = min(stop, self.num_samples)
        parts = [self._held[start - self._first :]]
        position = self._first + len(self._held)
        while position < stop:
            block = next(self._blocks)
            parts.append(block[max(0, start - position) :])
            position += len(block)
        self._held = np.concatenate(parts)
        self._first = start
        return self._held[: stop - start]

    def _resampled(self) -> Iterator[NDArray[np.float32]]:
        """Blocks ``(T,)`` at 16 kHz, ``num_samples`` in all."""
        mixed = (block.mean(axis=1) for block in blocks(self._audio, self._source))
        if self._audio.samplerate == SAMPLE_RATE:
            yield from mixed
            return
        import soxr

        resampler = soxr.ResampleStream(self._audio.samplerate, SAMPLE_RATE, 1)
        missing = self.num_samples
        for block in mixed:
            samples = resampler.resample_chunk(block)
            missing -= len(samples)
            yield samples
        tail = resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
        # The resampler rounds the length in its own way.
        yield np.pad(tail, (0, max(0, missing - len(tail))))
