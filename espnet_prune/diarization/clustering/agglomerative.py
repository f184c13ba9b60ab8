"""Agglomerative hierarchical clustering (AHC), cut where a threshold or a number says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from espnet_prune.diarization.clustering.base import (
    ANY_NUMBER,
    Doubles,
    Floats,
    Indices,
    SpeakerBounds,
    assign,
    centroids_of,
    in_order,
    normalised,
)
from espnet_prune.encoder import ConfigError
from espnet_prune.encoder.typed import check_name

LINKAGES = ("average", "centroid", "complete")
_CANNOT_LINK = 1e3  # far beyond any cosine distance: two speakers of one window never merge
_ROWS = 256  # of distances that are computed at a time
_SMALLEST_SHARE = 0.1  # of a recording's embeddings: what the least cluster is at most


@dataclass(frozen=True)
class AgglomerativeClustering:
    """Merge the nearest two clusters of length-normalised embeddings, again and again.

    Attributes:
        threshold: distance at which merging stops, unless bounds on the number of speakers say
            otherwise: they take the nearest cut with an allowed number.
        linkage: ``average`` is the mean cosine distance, ``complete`` the largest one, as in
            sherpa-onnx, both with speakers of one window kept apart; ``centroid`` the Euclidean
            distance between means, without that constraint, as in pyannote.audio 3.1 and Han et
            al. (2025).
        min_cluster_size: clusters of fewer embeddings (but a tenth of the recording's at most) do
            not count: they join the nearest of the others.

    Raises:
        ConfigError: an unknown linkage, or a cluster of less than one.
    """

    threshold: float
    linkage: str = "average"
    min_cluster_size: int = 1

    def __post_init__(self) -> None:
        check_name("a linkage", self.linkage, LINKAGES)
        if self.min_cluster_size < 1:
            raise ConfigError(
                f"expected a min_cluster_size of 1 or more, found {self.min_cluster_size}"
            )

    def __call__(
        self, embeddings: Floats, windows: Indices, bounds: SpeakerBounds = ANY_NUMBER
    ) -> Indices:
        """Which local speakers are the same: labels ``(N,)`` from 0, every one of them used.

        Of embeddings ``(N, E)``, one per window and local speaker, and the indices of the windows
        ``(N,)`` that they are of.
        """
        count = len(embeddings)
        if count < 2:
            return np.zeros(count, dtype=np.int64)
        tree = self._tree(normalised(embeddings), windows)
        smallest = min(self.min_cluster_size, max(1, round(_SMALLEST_SHARE * count)))
        large = _large_clusters(tree, smallest)
        # Centroids may come closer by a merge: what follows a merge that is too far is too.
        heights = np.maximum.accumulate(tree[:, 2])
        merges = int(np.count_nonzero(heights < self.threshold))
        allowed = bounds.nearest(int(large[merges]), count)
        if allowed != large[merges] and (cuts := np.flatnonzero(large == allowed)).size:
            merges = int(cuts[np.argmin(np.abs(self._at(heights, cuts) - self.threshold))])
        elif allowed != large[merges]:
            merges, smallest = count - allowed, 1
        return in_order(_join_small(embeddings, _cut(tree, merges), smallest))

    def _tree(self, unit: Floats, windows: Indices) -> Doubles:
        """SciPy's linkage matrix ``(N - 1, 4)`` of ``(N, E)``."""
        if self.linkage == "centroid":
            return linkage(unit, "centroid")
        return linkage(_distances(unit, windows), self.linkage)

    def _at(self, heights: Doubles, cuts: Indices) -> Doubles:
        """The threshold nearest to ours that cuts after so many merges."""
        bottom = np.concatenate([[-np.inf], heights])[cuts]
        top = np.concatenate([heights, [np.inf]])[cuts]
        return np.clip(self.threshold, bottom, top)


def _distances(unit: Floats, windows: Indices) -> Doubles:
    """Cosine distances of ``(N, E)`` as SciPy condenses them, ``(N (N - 1) / 2,)``.

    Some rows at a time: of thousands, a square takes more memory than all before it.
    """
    count = len(unit)
    condensed, begin = np.empty(count * (count - 1) // 2), 0
    for first in range(0, count, _ROWS):
        rows = slice(first, first + _ROWS)
        block = 1 - unit[rows] @ unit[first:].T
        block[windows[rows, None] == windows[None, first:]] = _CANNOT_LINK
        above = block[np.triu_indices(len(block), 1, block.shape[1])]  # the diagonal, row by row
        condensed[begin : begin + len(above)] = above
        begin += len(above)
    return condensed.clip(min=0, out=condensed)


def _large_clusters(tree: Doubles, smallest: int) -> Indices:
    """How many clusters have ``smallest`` members after 0, 1, ... merges, ``(N,)``."""
    leaves = len(tree) + 1
    sizes = np.concatenate([np.ones(leaves), tree[:, 3]])
    is_large = (sizes >= smallest).astype(np.int64)
    first, second = tree[:, 0].astype(np.int64), tree[:, 1].astype(np.int64)
    changes = is_large[leaves:] - is_large[first] - is_large[second]
    return np.cumsum(np.concatenate([[is_large[:leaves].sum()], changes]))


def _cut(tree: Doubles, merges: int) -> Indices:
    """Labels ``(N,)`` after so many merges, ties or not."""
    ranked = tree.copy()
    ranked[:, 2] = np.arange(len(tree))
    return fcluster(ranked, merges - 0.5, criterion="distance").astype(np.int64) - 1


def _join_small(embeddings: Floats, labels: Indices, smallest: int) -> Indices:
    """Labels ``(N,)`` of ``(N, E)`` with every small cluster in the large one nearest to it."""
    sizes = np.bincount(labels)
    large = np.flatnonzero(sizes >= smallest)
    if len(large) == len(sizes):
        return labels
    centroids = centroids_of(embeddings, labels)
    target = np.arange(len(sizes))
    small = np.flatnonzero(sizes < smallest)
    target[small] = large[assign(centroids[small], np.arange(len(small)), centroids[large])]
    return target[labels]
