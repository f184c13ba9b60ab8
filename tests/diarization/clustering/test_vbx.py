"""VBx: speakers of its own generative model, and its lower bound against the exact evidence."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from espnet_prune.diarization.clustering.base import BoundedClustering, SpeakerBounds
from espnet_prune.diarization.clustering.vbx import (
    VBxClustering,
    VBxConfig,
    infer,
    one_hot_softened,
)
from espnet_prune.encoder import ConfigError
from espnet_prune.storage import CheckpointError
from tests.diarization.clustering.plda_files import draw, write_plda
from tests.diarization.clustering.voices import same_partition

SPEAKERS = np.random.default_rng(0).permutation(np.arange(200) % 5)
WINDOWS = np.arange(200) // 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_plda(tmp_path_factory.mktemp("plda"))


@pytest.fixture
def vbx(folder):
    return VBxClustering(VBxConfig(folder, Fa=0.2, Fb=1.0, threshold=0.62))


@pytest.mark.parametrize("seed", range(5))
def test_speakers_are_found_where_ahc_finds_too_many(vbx, seed):
    embeddings = draw(SPEAKERS, seed)
    assert vbx.initial(embeddings, WINDOWS).max() + 1 > 10
    assert same_partition(vbx(embeddings, WINDOWS), SPEAKERS)


def test_one_speaker(vbx, folder):
    embeddings = draw(np.zeros(60, dtype=np.int64), seed=1)
    assert vbx.initial(embeddings, np.arange(60)).max() > 0
    for clustering in (vbx, VBxClustering(VBxConfig(folder))):
        assert not clustering(embeddings, np.arange(60)).any()


def test_order_does_not_matter(vbx):
    embeddings = draw(SPEAKERS, seed=2, noise=1.05)
    order = np.random.default_rng(3).permutation(len(SPEAKERS))
    labels = vbx(embeddings, WINDOWS)
    assert same_partition(vbx(embeddings[order], WINDOWS[order]), labels[order])
    assert np.array_equal(labels, vbx(embeddings, WINDOWS))
    assert sorted(set(labels)) == list(range(labels.max() + 1))


def test_few_embeddings(vbx):
    embeddings = draw(np.array([0, 1]), seed=4)
    assert vbx(embeddings[:1], np.zeros(1, dtype=np.int64)).tolist() == [0]
    together = vbx(embeddings, np.zeros(2, dtype=np.int64))
    assert together.dtype == np.int64 and set(together) <= {0, 1}


def test_bounds_on_the_number_of_speakers(vbx):
    embeddings = draw(SPEAKERS, seed=0)
    for bounds in (SpeakerBounds(3, 3), SpeakerBounds(7, 9), SpeakerBounds(1, 8)):
        labels = BoundedClustering(vbx)(embeddings, WINDOWS, bounds)
        assert bounds.minimum <= len(set(labels.tolist())) <= bounds.maximum


def test_only_leading_directions_count(folder):
    embeddings = draw(SPEAKERS, seed=0)
    assert VBxClustering(VBxConfig(folder, lda_dim=7)).plda(embeddings).shape == (200, 7)


def test_the_bound_reaches_the_evidence():
    """The exact evidence sums over all assignments; two names for one partition halve it."""
    generator = np.random.default_rng(5)
    psi = np.array([9.0, 4.0])
    truth = np.array([0, 0, 1, 1, 0, 1])
    vectors = np.array([[6.0, 2.0], [-6.0, -2.0]])[truth] + generator.standard_normal((6, 2))
    evidence = -np.inf
    for labels in product(range(2), repeat=6):
        members = [vectors[np.array(labels) == speaker] for speaker in range(2)]
        likelihood = sum(_log_marginal(each, psi) for each in members) - 6 * np.log(2)
        evidence = logsumexp([evidence, likelihood])
    found = infer(vectors, psi, one_hot_softened(truth), Fa=1.0, Fb=1.0, max_iters=1)
    assert found.bounds[0] <= evidence
    assert found.bounds[0] == pytest.approx(evidence - np.log(2), abs=0.02)
    assert np.array_equal(found.values.argmax(axis=1), truth)


def _log_marginal(members, psi):
    """Of one speaker's vectors: independent directions, each with a shared normal mean."""
    count = len(members)
    if not count:
        return 0.0
    return sum(
        multivariate_normal(np.zeros(count), np.eye(count) + variance).logpdf(members[:, axis])
        for axis, variance in enumerate(psi)
    )


@pytest.mark.parametrize("Fa, Fb", [(1.0, 1.0), (0.07, 0.8), (0.3, 17.0)])
def test_the_bound_never_falls(vbx, Fa, Fb):
    vectors = vbx.plda(draw(SPEAKERS, seed=6, noise=1.5))
    start = one_hot_softened(np.random.default_rng(7).integers(0, 12, 200))
    found = infer(vectors, vbx.plda.psi, start, Fa, Fb, max_iters=50)
    assert len(found.bounds) > 2 and np.all(np.diff(found.bounds) > -1e-6)
    np.testing.assert_allclose(found.values.sum(axis=1), 1)
    np.testing.assert_allclose(found.priors, found.values.mean(axis=0))


def test_speakers_without_embeddings_go(vbx):
    vectors = vbx.plda(draw(SPEAKERS, seed=0))
    start = one_hot_softened(vbx.initial(draw(SPEAKERS, seed=0), WINDOWS))
    found = infer(vectors, vbx.plda.psi, start, 0.2, 1.0, max_iters=20)
    assert start.shape[1] > 10 and (found.priors > 1e-7).sum() == 5


def test_wrong_settings(folder, tmp_path):
    for name in ("Fa", "Fb", "max_iters", "lda_dim"):
        with pytest.raises(ConfigError, match=f"expected {name} of VBx above 0, found 0"):
            VBxConfig(folder, **{name: 0})
    with pytest.raises(CheckpointError, match="expected a NumPy archive, found none"):
        VBxClustering(VBxConfig(tmp_path))
