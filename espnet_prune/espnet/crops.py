"""Batches without padding: every utterance cropped at random to the shortest of its batch."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.train.collate_fn import CommonCollateFn
from torch import Tensor


class RandomCrops:
    """Collation of utterances, each cropped to the shortest of its batch.

    DPHuBERT's batches (Peng et al., 2023). Where a crop begins follows from ``seed``, ``epoch`` and
    the utterance's name alone: neither workers, processes nor a resumed training change it.

    Args:
        seed: 0 or more.
        collate: makes a batch of utterances that are equally long.

    Attributes:
        epoch: set by :class:`EpochIterFactory`.
    """

    def __init__(self, seed: int, collate: CommonCollateFn):
        self.seed, self.collate, self.epoch = seed, collate, 0

    def __call__(
        self, data: Collection[tuple[str, dict[str, np.ndarray]]]
    ) -> tuple[list[str], dict[str, Tensor]]:
        """Names, and ``speech`` ``(B, T)`` with ``speech_lengths`` ``(B,)``, in samples.

        Args:
            data: names with ``speech`` ``(T_i,)`` each.
        """
        shortest = min(len(values["speech"]) for _, values in data)
        return self.collate(
            [(name, {"speech": self._crop(name, v["speech"], shortest)}) for name, v in data]
        )

    def _crop(self, name: str, speech: np.ndarray, length: int) -> np.ndarray:
        random = np.random.default_rng((self.seed, self.epoch, zlib.crc32(name.encode())))
        start = random.integers(len(speech) - length + 1)
        return speech[start : start + length]


class EpochIterFactory(AbsIterFactory):
    """ESPnet's batches of an epoch, collated by crops that know which epoch it is."""

    def __init__(self, factory: AbsIterFactory, crops: RandomCrops):
        self.factory, self.crops = factory, crops

    def build_iter(self, epoch: int, shuffle: bool | None = None) -> Iterator[Any]:
        """The batches of ``epoch``, counted from 1."""
        self.crops.epoch = epoch
        return self.factory.build_iter(epoch, shuffle)
