"""Local speakers to clusters, one window at a time."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from espnet_prune.diarization.clustering.base import assign, centroids_of, normalised
from tests.diarization.clustering.voices import DIM, noisy


def test_each_cluster_once_per_window():
    centroids = centroids_of(noisy([0, 1]), np.array([0, 1]))
    labels = assign(noisy([0, 0, 1, 0]), np.array([0, 0, 0, 1]), centroids)
    assert sorted(labels[:3].tolist()) == [-1, 0, 1] and labels[2] == 1 and labels[3] == 0


def test_the_best_of_all_assignments():
    generator = np.random.default_rng(0)
    embeddings = generator.standard_normal((30, DIM)).astype(np.float32)
    centroids = generator.standard_normal((4, DIM)).astype(np.float32)
    windows = np.repeat([0, 3, 4, 9, 11, 12, 20, 21, 22, 30], 3)
    labels = assign(embeddings, windows, centroids)
    similarity = normalised(embeddings) @ normalised(centroids).T
    for window in np.unique(windows):
        rows = np.flatnonzero(windows == window)
        best = max(similarity[rows, list(each)].sum() for each in permutations(range(4), 3))
        assert np.isclose(similarity[rows, labels[rows]].sum(), best)


def test_nobody_to_assign():
    none = np.zeros((0, DIM), dtype=np.float32)
    assert assign(none, np.zeros(0, dtype=np.int64), noisy([0])).tolist() == []
