"""Who is who across windows: constrained clustering of the embeddings of local speakers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import AgglomerativeClustering

# Far beyond any cosine distance, so that two speakers of one window never merge.
_CANNOT_LINK = 1e3


def cluster(
    embeddings: NDArray[np.float32], windows: NDArray[np.int64], threshold: float
) -> NDArray[np.int64]:
    """Average-linkage clustering under cosine distance; one window's speakers stay apart.

    Args:
        embeddings: ``(N, E)``, one per window and local speaker.
        windows: ``(N,)`` index of the window that each embedding is of.
        threshold: cosine distance at which merging stops.

    Returns:
        ``(N,)`` labels from 0, in the order of their first appearance.
    """
    if len(embeddings) < 2:
        return np.zeros(len(embeddings), dtype=np.int64)
    distance = 1 - _normalised(embeddings) @ _normalised(embeddings).T
    same_window = windows[:, None] == windows[None]
    distance[same_window] = _CANNOT_LINK
    np.fill_diagonal(distance, 0.0)
    model = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=threshold
    )
    labels = model.fit_predict(distance.clip(min=0))
    order = {label: rank for rank, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([order[label] for label in labels.tolist()], dtype=np.int64)


def assign(
    embeddings: NDArray[np.float32], windows: NDArray[np.int64], centroids: NDArray[np.float32]
) -> NDArray[np.int64]:
    """The cluster of every local speaker: most similar centroids, each once per window.

    Args:
        embeddings: ``(N, E)``.
        windows: ``(N,)`` index of the window that each embedding is of.
        centroids: ``(M, E)``.

    Returns:
        ``(N,)`` cluster indices, -1 where a window has more speakers than there are clusters.
    """
    similarity = _normalised(embeddings) @ _normalised(centroids).T
    labels = np.full(len(embeddings), -1, dtype=np.int64)
    for window in np.unique(windows):
        rows = np.flatnonzero(windows == window)
        chosen, clusters = linear_sum_assignment(-similarity[rows])
        labels[rows[chosen]] = clusters
    return labels


def centroids_of(embeddings: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean of each cluster's length-normalised embeddings, ``(M, E)``."""
    unit = _normalised(embeddings)
    return np.stack([unit[labels == label].mean(axis=0) for label in range(labels.max() + 1)])


def _normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(min=1e-12)
