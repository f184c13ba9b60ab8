"""Clustering of speakers while a recording goes on: nothing that was heard is heard again."""

from __future__ import annotations

import numpy as np

from espnet_prune.diarization.clustering.base import (
    Doubles,
    Floats,
    Indices,
    SpeakerBounds,
    assign,
    normalised,
)
from espnet_prune.encoder import ConfigError


class OnlineClustering:
    """Speakers as running sums of their length-normalised embeddings.

    A voice is known if a speaker's centroid is within ``threshold`` of it (cosine distance); two of
    one window are never one speaker. An unknown voice becomes a new speaker if it is clear, that is
    alone in ``least`` frames or more, and there may be more speakers. While there are fewer than
    the bounds ask for, any voice does: until a clear one is known for it, or takes its place.

    Attributes:
        sums: ``(M, E)`` whose directions are the speakers' centroids.

    Raises:
        ConfigError: a threshold that is no cosine distance.
    """

    def __init__(self, threshold: float, least: float, bounds: SpeakerBounds):
        if not 0 <= threshold <= 2:
            raise ConfigError(f"expected a threshold from 0 to 2, found {threshold:g}")
        self.threshold, self.least, self.bounds = threshold, least, bounds
        self.sums: Doubles = np.zeros((0, 0))
        self._clear: list[bool] = []  # of every speaker

    def add(self, embeddings: Floats, alone: Indices) -> None:
        """Take in the voices ``(N, E)`` of one window, alone in so many frames ``(N,)`` each."""
        if not len(embeddings):
            return
        unit = normalised(embeddings.astype(np.float64))
        if not len(self.sums):
            self.sums = np.zeros((0, unit.shape[1]))
        same_window = np.zeros(len(unit), dtype=np.int64)
        known = assign(unit, same_window, self.sums, 1 - self.threshold)
        vacant = [i for i, clear in enumerate(self._clear) if not clear and i not in known]
        for voice in np.argsort(-alone, kind="stable"):  # the clearest first
            clear, place = bool(alone[voice] >= self.least), int(known[voice])
            if place < 0:
                place = self._place(clear, vacant)
            if place >= 0 and (clear or not self._clear[place]):
                self.sums[place] += unit[voice]
                self._clear[place] |= clear

    def _place(self, clear: bool, vacant: list[int]) -> int:
        """Make room for an unknown voice; -1 if there is none."""
        if clear and vacant:
            self.sums[vacant[0]] = 0
            return vacant.pop(0)
        most = self.bounds.maximum if clear else self.bounds.minimum
        if most is not None and len(self.sums) >= most:
            return -1
        self.sums = np.concatenate([self.sums, np.zeros((1, self.sums.shape[1]))])
        self._clear.append(False)
        return len(self.sums) - 1
