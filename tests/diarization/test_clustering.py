"""Constrained clustering and assignment."""

import numpy as np

from espnet_prune.diarization.clustering import assign, centroids_of, cluster

VOICES = np.eye(4, dtype=np.float32)


def noisy(voices, seed=0):
    generator = np.random.default_rng(seed)
    picked = VOICES[voices]
    return picked + 0.05 * generator.standard_normal(picked.shape).astype(np.float32)


def test_voices_are_found():
    labels = cluster(noisy([0, 1, 0, 1, 2]), np.arange(5), threshold=0.5)
    assert labels.tolist() == [0, 1, 0, 1, 2]


def test_speakers_of_one_window_stay_apart():
    same = noisy([0, 0, 0])
    assert len(set(cluster(same, np.array([0, 0, 1]), threshold=0.5).tolist())) == 2
    assert len(set(cluster(same, np.arange(3), threshold=0.5).tolist())) == 1


def test_degenerate_numbers_of_embeddings():
    assert cluster(noisy([]).reshape(0, 4), np.zeros(0, dtype=np.int64), 0.5).tolist() == []
    assert cluster(noisy([1]), np.zeros(1, dtype=np.int64), 0.5).tolist() == [0]


def test_assignment_uses_each_cluster_once_per_window():
    centroids = centroids_of(noisy([0, 1]), np.array([0, 1]))
    labels = assign(noisy([0, 0, 1, 0]), np.array([0, 0, 0, 1]), centroids)
    assert sorted(labels[:3].tolist()) == [-1, 0, 1] and labels[2] == 1 and labels[3] == 0
