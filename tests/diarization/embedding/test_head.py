"""The embedding head: masks, files, and its place beside a model."""

from __future__ import annotations

import pytest
import torch

from espnet_prune.diarization.embedding import make_embedder
from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.embedding.head import EmbeddingHead, EmbeddingHeadConfig, HeadEmbedder
from espnet_prune.diarization.inference_config import InferenceConfig, with_companions
from espnet_prune.encoder import ConfigError
from espnet_prune.storage import CheckpointError
from tests.encoders import tiny_config

ENCODER = tiny_config()
CONFIG = EmbeddingHeadConfig(len(ENCODER.layers) + 1, ENCODER.embed_dim, hidden=6, size=5)
STRETCH = Stretch(torch.zeros(0), (), 0)


def random_head() -> EmbeddingHead:
    torch.manual_seed(0)
    head = EmbeddingHead(CONFIG)
    for value in head.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.2, 1.0).mul_(torch.randn_like(value).sign() if value.dim() > 1 else 1)
    return head.eval()


@pytest.fixture
def states():
    torch.manual_seed(1)
    return {n: torch.randn(3, 20, CONFIG.width) for n in range(CONFIG.states)}


@torch.no_grad()
def test_a_mask_is_the_embedding_of_its_frames(states):
    embedder = HeadEmbedder(random_head())
    weights = (torch.rand(3, 20, 4) > 0.4).float()
    weights[1, :, 2] = 0
    together = embedder(STRETCH, states, weights)
    assert together.shape == (3, 4, 5) and not together[1, 2].any()
    assert list(embedder.layers) == list(states)
    for row, speaker in weights.any(1).nonzero().tolist():
        frames = weights[row, :, speaker] > 0
        alone = {n: state[row : row + 1, frames] for n, state in states.items()}
        found = embedder(STRETCH, alone, torch.ones(1, int(frames.sum()), 1))[0, 0]
        torch.testing.assert_close(found, together[row, speaker], atol=1e-5, rtol=1e-4)
    assert (together[0, 0] - together[0, 1]).abs().max() > 1e-3


@torch.no_grad()
def test_loud_frames_elsewhere_take_no_precision(states):
    head = random_head()
    weights = torch.ones(3, 20, 1)
    weights[:, 10:] = 0
    before = head(states, weights)
    states = {n: torch.cat([s[:, :10], 1e4 * s[:, 10:]], 1) for n, s in states.items()}
    torch.testing.assert_close(head(states, weights), before)


def test_every_parameter_learns(states):
    head = random_head().train()
    head(states, torch.ones(3, 20, 2)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())


def test_saved_and_found_beside_its_model(states, tmp_path):
    head = random_head()
    head.save_pretrained(tmp_path / "embedding")
    config = with_companions(InferenceConfig(embedding="head"), tmp_path)
    embedder = make_embedder(config.embedding, ENCODER)
    weights = torch.ones(3, 20, 2)
    torch.testing.assert_close(embedder(STRETCH, states, weights), head(states, weights))
    with pytest.raises(CheckpointError, match="for {'states': 2, .*found one for {'states': 4"):
        make_embedder(config.embedding, tiny_config(layers=ENCODER.layers[:1]))
    with pytest.raises(CheckpointError, match="expected an embedding head beside"):
        make_embedder("head", ENCODER)
    text = (tmp_path / "embedding/config.json").read_text()
    (tmp_path / "embedding/config.json").write_text(text.replace('"hidden": 6', '"hidden": 7'))
    with pytest.raises(CheckpointError, match="expected the weights that the config describes"):
        make_embedder(config.embedding, ENCODER)
    with pytest.raises(ConfigError, match="hidden from 1 to"):
        EmbeddingHeadConfig(4, 16, hidden=0)
