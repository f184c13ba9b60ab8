"""Constrained assignment: the speakers of one window are different clusters."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

F = TypeVar("F", np.float32, np.float64)


def assign(
    embeddings: NDArray[np.float32], windows: NDArray[np.int64], centroids: NDArray[np.float32]
) -> NDArray[np.int64]:
    """The cluster of every local speaker: most similar centroids, each once per window.

    Args:
        embeddings: ``(N, E)``, in the order of their windows.
        windows: ``(N,)`` index of the window that each embedding is of, ascending.
        centroids: ``(M, E)``.

    Returns:
        ``(N,)`` cluster indices, -1 where a window has more speakers than there are clusters.
    """
    targets = normalised(centroids).T
    labels = np.full(len(embeddings), -1, dtype=np.int64)
    borders = np.flatnonzero(np.diff(windows)) + 1
    for first, last in zip([0, *borders], [*borders, len(windows)], strict=True):
        similarity = normalised(embeddings[first:last]) @ targets
        chosen, clusters = linear_sum_assignment(-similarity)
        labels[first + chosen] = clusters
    return labels


def centroids_of(embeddings: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean of each cluster's length-normalised embeddings ``(N, E)``: ``(M, E)``."""
    unit = normalised(embeddings)
    return np.stack([unit[labels == label].mean(axis=0) for label in range(labels.max() + 1)])


def normalised(vectors: NDArray[F]) -> NDArray[F]:
    """Vectors ``(..., E)`` scaled to length one."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(min=1e-12)
