"""AHC: what it merges, where it stops, how bounds move the cut."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.cluster
from scipy.cluster.hierarchy import fcluster, linkage

from espnet_prune.diarization.clustering.agglomerative import LINKAGES, AgglomerativeClustering
from espnet_prune.diarization.clustering.base import SpeakerBounds, normalised
from espnet_prune.encoder import ConfigError
from tests.diarization.clustering.voices import DIM, noisy, same_partition


def random_embeddings(count, seed):
    return np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)


@pytest.mark.parametrize("linkage", LINKAGES)
def test_voices_are_found(linkage):
    labels = AgglomerativeClustering(0.5, linkage)(noisy([0, 1, 0, 1, 2]), np.arange(5))
    assert labels.tolist() == [0, 1, 0, 1, 2]


def test_speakers_of_one_window_stay_apart():
    same, clustering = noisy([0, 0, 0]), AgglomerativeClustering(0.5)
    assert len(set(clustering(same, np.array([0, 0, 1])).tolist())) == 2
    assert len(set(clustering(same, np.arange(3)).tolist())) == 1


@pytest.mark.parametrize("linkage", LINKAGES)
def test_degenerate_numbers_of_embeddings(linkage):
    clustering = AgglomerativeClustering(0.5, linkage)
    assert clustering(noisy([]), np.zeros(0, dtype=np.int64)).tolist() == []
    assert clustering(noisy([1]), np.zeros(1, dtype=np.int64)).tolist() == [0]
    silent = np.zeros((3, DIM), dtype=np.float32)
    assert len(clustering(silent, np.arange(3))) == 3


@pytest.mark.parametrize("seed", range(8))
def test_average_linkage_is_sklearns(seed):
    embeddings = random_embeddings(60, seed)
    windows = np.repeat(np.arange(20), 3)
    threshold = 0.5 + 0.1 * seed
    unit = normalised(embeddings)
    distance = 1 - unit @ unit.T
    distance[windows[:, None] == windows[None]] = 1e3
    np.fill_diagonal(distance, 0)
    reference = sklearn.cluster.AgglomerativeClustering(
        None, metric="precomputed", linkage="average", distance_threshold=threshold
    ).fit_predict(distance)
    found = AgglomerativeClustering(threshold)(embeddings, windows)
    assert same_partition(found, reference)
    assert 1 < len(set(reference.tolist())) < 60


@pytest.mark.parametrize("seed", range(8))
def test_centroid_linkage_is_scipys(seed):
    embeddings = random_embeddings(60, seed)
    threshold = 0.5 + 0.05 * seed
    tree = linkage(normalised(embeddings), "centroid")
    assert (np.diff(tree[:, 2]) < 0).any()  # centroids did come closer by a merge
    reference = fcluster(tree, threshold, criterion="distance")
    found = AgglomerativeClustering(threshold, "centroid")(embeddings, np.arange(60))
    assert same_partition(found, reference)


@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("seed", range(3))
def test_bounds_hold(linkage, seed):
    embeddings, windows = random_embeddings(40, seed), np.repeat(np.arange(20), 2)
    clustering = AgglomerativeClustering(0.8, linkage)
    free = len(set(clustering(embeddings, windows).tolist()))
    for number in (1, 2, 7, 39, 40):
        for bounds in (
            SpeakerBounds.of(num_speakers=number),
            SpeakerBounds.of(min_speakers=number),
            SpeakerBounds.of(max_speakers=number),
        ):
            labels = clustering(embeddings, windows, bounds)
            expected = bounds.nearest(free, 40)
            assert sorted(set(labels.tolist())) == list(range(expected))
    assert labels.tolist() == clustering(embeddings, windows).tolist()  # a bound that is no bound


def test_more_speakers_than_embeddings():
    labels = AgglomerativeClustering(0.5)(noisy([0, 0]), np.arange(2), SpeakerBounds(5, 5))
    assert sorted(labels.tolist()) == [0, 1]


def test_the_number_is_exact_even_where_all_are_equal():
    equal = np.ones((6, DIM), dtype=np.float32)
    for number in (1, 3, 6):
        bounds = SpeakerBounds(number, number)
        labels = AgglomerativeClustering(0.5)(equal, np.arange(6), bounds)
        assert len(set(labels.tolist())) == number


@pytest.mark.parametrize("linkage", LINKAGES)
def test_small_clusters_join_large_ones(linkage):
    voices = [0] * 20 + [1] * 20 + [2]
    embeddings = noisy(voices)
    embeddings[-1, 0] += 0.6  # the lonely one is nearer to the first voice
    clustering = AgglomerativeClustering(0.4, linkage, min_cluster_size=4)
    labels = clustering(embeddings, np.arange(41))
    assert labels.tolist() == [0] * 20 + [1] * 20 + [0]
    alone = AgglomerativeClustering(0.4, linkage)(embeddings, np.arange(41))
    assert alone.max() == 2


@pytest.mark.parametrize("linkage", LINKAGES)
def test_outliers_are_no_speakers_where_the_number_is_known(linkage):
    embeddings = noisy([0] * 20 + [1] * 20 + [2])
    clustering = AgglomerativeClustering(3.0, linkage, min_cluster_size=4)
    assert clustering(embeddings, np.arange(41)).max() == 0
    labels = clustering(embeddings, np.arange(41), SpeakerBounds(2, 2))
    assert labels[:40].tolist() == [0] * 20 + [1] * 20 and labels[40] in (0, 1)
    # Not that many clusters have four members: then size does not count.
    for number in (3, 41):
        labels = clustering(embeddings, np.arange(41), SpeakerBounds(number, number))
        assert len(set(labels.tolist())) == number


def test_the_minimum_size_is_at_most_a_tenth():
    labels = AgglomerativeClustering(0.5, min_cluster_size=30)(noisy([0, 1, 0, 1]), np.arange(4))
    assert labels.tolist() == [0, 1, 0, 1]


def test_bad_options():
    with pytest.raises(ConfigError, match="linkage of average, centroid, complete, found 'ward'"):
        AgglomerativeClustering(0.5, "ward")
    with pytest.raises(ConfigError, match="min_cluster_size of 1 or more, found 0"):
        AgglomerativeClustering(0.5, min_cluster_size=0)
