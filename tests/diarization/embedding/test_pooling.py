"""Weighted statistics against plain ones."""

from __future__ import annotations

import pytest
import torch

from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.embedding.pooling import PooledStates, weighted_statistics

STRETCH = Stretch(torch.zeros(0), (), 0)


@pytest.fixture
def features():
    torch.manual_seed(0)
    return torch.randn(3, 20, 5) + 7


@pytest.mark.parametrize("unbiased", [True, False])
def test_equal_weights_are_plain_statistics(features, unbiased):
    weights = torch.ones(3, 20, 2) * torch.tensor([1.0, 0.3])
    plain = torch.cat([features.mean(1), features.std(1, correction=int(unbiased))], dim=-1)
    found = weighted_statistics(features, weights, unbiased=unbiased)
    for speaker in range(2):
        torch.testing.assert_close(found[:, speaker], plain)


@pytest.mark.parametrize("unbiased", [True, False])
def test_a_mask_is_the_statistics_of_its_frames(features, unbiased):
    mask = torch.arange(20) % 3 == 0
    found = weighted_statistics(features, mask.expand(3, 20)[..., None].float(), unbiased=unbiased)
    chosen = features[:, mask]
    plain = torch.cat([chosen.mean(1), chosen.std(1, correction=int(unbiased))], dim=-1)
    torch.testing.assert_close(found[:, 0], plain)


@pytest.mark.parametrize("unbiased", [True, False])
def test_degenerate_masks(features, unbiased):
    weights = torch.zeros(3, 20, 2)
    weights[:, 4, 1] = 0.7
    found = weighted_statistics(features, weights, unbiased=unbiased)
    assert not found[:, 0].any()
    torch.testing.assert_close(found[:, 1, :5], features[:, 4])
    assert not found[:, 1, 5:].any()


def test_small_deviations_are_not_lost():
    torch.manual_seed(1)
    frames = 1000 + 1e-2 * torch.randn(1, 50, 1, dtype=torch.float64)
    found = weighted_statistics(frames.float(), torch.ones(1, 50, 1))
    exact = frames.float().double().std(1, correction=0).item()
    assert found[0, 0, 1].item() == pytest.approx(exact, rel=1e-3)


def test_pooled_states_take_their_layer(features):
    states = {0: torch.zeros_like(features), 1: features}
    weights = torch.rand(3, 20, 4)
    weights[1, :, 2] = 0
    found = PooledStates(1)(STRETCH, states, weights)
    torch.testing.assert_close(found, weighted_statistics(features, weights))
    assert found.shape == (3, 4, 10) and not found[1, 2].any()
    assert not torch.equal(found, PooledStates(0)(STRETCH, states, weights))
