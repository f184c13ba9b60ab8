"""What clusterings share: bounds on the number of speakers, assignment, labels in order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from espnet_prune.encoder import ConfigError

logger = logging.getLogger(__name__)

F = TypeVar("F", bound=np.floating)
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class SpeakerBounds:
    """How many speakers a recording has at least and at most (None: any number).

    Raises:
        ConfigError: a bound below one, or a minimum above the maximum.
    """

    minimum: int = 1
    maximum: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.minimum <= (self.minimum if self.maximum is None else self.maximum):
            raise ConfigError(
                "expected 1 <= min_speakers <= max_speakers, found min_speakers "
                f"{self.minimum} and max_speakers {self.maximum}; correct them"
            )

    @classmethod
    def of(
        cls,
        num_speakers: int | None = None,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
    ) -> SpeakerBounds:
        """Make bounds of what a user knows: the number itself, or a least and a largest one.

        Raises:
            ConfigError: the number and a bound at once, or numbers that contradict each other.
        """
        if num_speakers is not None and num_speakers < 1:
            raise ConfigError(
                f"expected 1 speaker or more, found num_speakers {num_speakers}; leave it out if "
                "the number is unknown"
            )
        if num_speakers is None:
            return cls(1 if min_speakers is None else min_speakers, max_speakers)
        if min_speakers is not None or max_speakers is not None:
            raise ConfigError(
                "expected num_speakers or bounds, found num_speakers with min_speakers or "
                "max_speakers; leave one out"
            )
        return cls(num_speakers, num_speakers)

    def nearest(self, count: int, available: int) -> int:
        """The allowed number nearest to ``count``; never more than ``available`` embeddings."""
        highest = available if self.maximum is None else min(self.maximum, available)
        return min(max(count, self.minimum), highest)

    def warn_of_few(self, found: int, recording: str) -> None:
        """Tell of a recording in which some speak, and fewer than there are."""
        if 0 < found < self.minimum:
            logger.warning(
                "%s: expected %d speakers or more, found %d; the windows tell no more apart",
                recording, self.minimum, found,
            )  # fmt: skip


ANY_NUMBER = SpeakerBounds()


@dataclass(frozen=True)
class BoundedClustering:
    """A clustering that finds the number of speakers itself, held to bounds afterwards.

    Where it finds fewer or more than allowed, k-means makes the nearest allowed number out of the
    length-normalised embeddings, as pyannote.audio does after VBx.
    """

    clustering: Callable[[Floats, Indices], Indices]

    def __call__(
        self, embeddings: Floats, windows: Indices, bounds: SpeakerBounds = ANY_NUMBER
    ) -> Indices:
        """As of AgglomerativeClustering."""
        labels = in_order(self.clustering(embeddings, windows))
        count = int(labels.max()) + 1
        allowed = bounds.nearest(count, len(embeddings))
        if allowed == count:
            return labels
        from sklearn.cluster import KMeans  # takes a second, and few come here

        means = KMeans(n_clusters=allowed, n_init=3, random_state=0)
        return in_order(means.fit_predict(normalised(embeddings)))


def assign(
    embeddings: NDArray[np.floating],
    windows: Indices,
    centroids: NDArray[np.floating],
    least: float = -np.inf,
) -> Indices:
    """The cluster of every local speaker: most similar centroids ``(M, E)``, each once per window.

    Embeddings ``(N, E)`` lie in the order of their windows, whose indices are ``(N,)``. Of the
    clusters ``(N,)`` those are -1 where a window has more speakers than there are clusters, and
    where a centroid would have a cosine similarity below ``least``.
    """
    targets = normalised(centroids).T
    labels = np.full(len(embeddings), -1, dtype=np.int64)
    borders = np.flatnonzero(np.diff(windows)) + 1
    for first, last in zip([0, *borders], [*borders, len(windows)], strict=True):
        similarity = normalised(embeddings[first:last]) @ targets
        # Whoever is too far from a centroid has no say in who else gets it.
        chosen, clusters = linear_sum_assignment(-similarity.clip(min=least))
        near = similarity[chosen, clusters] >= least
        labels[first + chosen[near]] = clusters[near]
    return labels


def centroids_of(embeddings: Floats, labels: Indices) -> Floats:
    """The mean of each cluster's length-normalised embeddings ``(N, E)``: ``(M, E)``."""
    unit = normalised(embeddings)
    return np.stack([unit[labels == label].mean(axis=0) for label in range(labels.max() + 1)])


def normalised(vectors: NDArray[F]) -> NDArray[F]:
    """Vectors ``(..., E)`` scaled to length one."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(min=1e-12)


def in_order(labels: NDArray[np.integer]) -> Indices:
    """Labels ``(N,)`` renamed from 0, in the order of their first appearance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return first.argsort().argsort()[inverse].astype(np.int64)
