"""The ResNet34: masks, windows of a stretch, and the published file."""

from __future__ import annotations

import os

import pytest
import torch
from torch.nn import functional

from espnet_prune.diarization.embedding import make_embedder
from espnet_prune.diarization.embedding import wespeaker as module
from espnet_prune.diarization.embedding.base import Stretch, cut_windows, log_mel
from espnet_prune.diarization.embedding.wespeaker import SpeakerResNet, WeSpeakerEmbedder
from espnet_prune.storage import CheckpointError
from tests.diarization.embedding.pyannote_format import (
    published_shapes,
    random_resnet,
    write_published,
)
from tests.encoders import tiny_config

SIZE, FRAMES = 24000, 74
STARTS = (0, 640, 24000)


@pytest.fixture(scope="module")
def network():
    return random_resnet()


@pytest.fixture(scope="module")
def embedder(network):
    return WeSpeakerEmbedder(network)


@pytest.fixture(scope="module")
def stretch():
    torch.manual_seed(1)
    loudness = torch.rand(16).repeat_interleave(3000)
    return Stretch(0.1 * torch.randn(48000) * loudness, STARTS, SIZE)


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(2)
    return (torch.rand(len(STARTS), FRAMES, 4) > 0.5).float()


def window_features(samples, starts):
    windows = cut_windows(log_mel(samples, "hamming"), starts, SIZE)
    return windows - windows.mean(1, keepdim=True)


def alone(stretch, window):
    start = stretch.starts[window]
    return Stretch(stretch.samples[start : start + stretch.size], (0,), stretch.size)


def test_all_ones_are_plain_statistics(network, embedder, stretch):
    features = window_features(stretch.samples, STARTS)
    frames = network.frames(features)
    pooled = torch.cat([frames.mean(1), frames.std(1)], dim=-1)
    found = embedder(stretch, {}, torch.ones(len(STARTS), FRAMES, 1))
    torch.testing.assert_close(found[:, 0], network.seg_1(pooled), atol=1e-5, rtol=1e-4)


def test_a_mask_pools_its_frames(network, embedder, stretch):
    frames = network.frames(window_features(stretch.samples, STARTS))
    weights = torch.zeros(len(STARTS), frames.size(1), 1)
    weights[:, 3:9] = 1
    chosen = frames[:, 3:9]
    pooled = torch.cat([chosen.mean(1), chosen.std(1)], dim=-1)
    found = embedder(stretch, {}, weights)
    torch.testing.assert_close(found[:, 0], network.seg_1(pooled), atol=1e-5, rtol=1e-4)


def test_spectra_are_kaldis_of_the_window_alone(stretch):
    whole = log_mel(stretch.samples, "hamming")
    for window, start in enumerate(STARTS):
        its_own = log_mel(alone(stretch, window).samples, "hamming")
        cut = cut_windows(whole, [start], SIZE)[0]
        torch.testing.assert_close(cut, its_own, atol=1e-4, rtol=0)
    assert whole.shape == (298, 80)


def test_neither_batch_nor_other_masks_matter(embedder, stretch, weights):
    together = embedder(stretch, {}, weights)
    assert together.shape == (3, 4, 256)
    differences = functional.pdist(together.flatten(0, 1)).min()
    assert differences > 1e-3  # else the next lines would prove nothing
    for window in range(len(STARTS)):
        for speaker in range(4):
            one = weights[window : window + 1, :, speaker : speaker + 1]
            found = embedder(alone(stretch, window), {}, one)[0, 0]
            torch.testing.assert_close(found, together[window, speaker], atol=1e-5, rtol=1e-4)


def test_what_passes_at_once_does_not_matter(embedder, stretch, weights, monkeypatch):
    together = embedder(stretch, {}, weights)
    monkeypatch.setitem(module._SPECTRA_AT_ONCE, "cpu", 1)
    torch.testing.assert_close(embedder(stretch, {}, weights), together, atol=1e-5, rtol=1e-4)


def test_one_pass_per_spoken_window(network, stretch, weights, monkeypatch):
    weights = weights.clone()
    weights[1] = 0
    weights[2, :, 1:] = 0
    seen = []
    frames = network.frames

    def counted(features):
        seen.append(len(features))
        return frames(features)

    embedder = WeSpeakerEmbedder(network)
    whole = embedder(stretch, {}, weights)
    monkeypatch.setattr(network, "frames", counted)
    torch.testing.assert_close(embedder(stretch, {}, weights), whole)
    assert sum(seen) == 2
    heard = weights.any(1)
    assert not whole[~heard].any() and whole[heard].any(-1).all() and whole.isfinite().all()
    seen.clear()
    assert not embedder(stretch, {}, torch.zeros_like(weights)).any() and not seen


def test_a_single_frame_is_enough():
    weights = torch.eye(FRAMES)[:, :, None] * torch.tensor([1.0, 0.0])
    positions = torch.arange(19.0).expand(FRAMES, 19)[:, :, None]
    statistics = SpeakerResNet.pool(positions, weights)
    assert statistics.isfinite().all() and not statistics[:, 1].any()
    expected = torch.arange(FRAMES) * 19 / FRAMES
    assert (statistics[:, 0, 0] - expected).abs().max() <= 1


@pytest.mark.parametrize("size", [400, 480, 8000])
def test_short_windows(embedder, stretch, size):
    short = Stretch(stretch.samples[:size], (0,), size)
    found = embedder(short, {}, torch.ones(1, max(1, size // 320 - 1), 1))
    assert found.shape == (1, 1, 256) and found.isfinite().all()


def test_the_published_file_loads_strictly(stretch, weights, tmp_path):
    torch.manual_seed(3)
    state = {key: 0.5 + torch.rand(shape) for key, shape in published_shapes().items()}
    for key, value in state.items():
        if key.endswith("num_batches_tracked"):
            state[key] = value.long()
        elif value.dim() > 1:
            state[key] = (value - 1) / value[0].numel()
    write_published(tmp_path / "pytorch_model.bin", state)
    embedder = make_embedder(str(tmp_path), tiny_config())
    assert isinstance(embedder, WeSpeakerEmbedder) and not embedder.training
    loaded = embedder.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())
    again = WeSpeakerEmbedder.from_pretrained(tmp_path / "pytorch_model.bin")
    found = embedder(stretch, {}, weights)
    assert found.isfinite().all() and torch.equal(again(stretch, {}, weights), found)


class Payload:
    """Makes a directory when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_other_files_are_refused(network, tmp_path):
    file = tmp_path / "pytorch_model.bin"
    with pytest.raises(CheckpointError, match="pytorch_model.bin"):
        WeSpeakerEmbedder.from_pretrained(tmp_path)
    state = {f"resnet.{key}": value for key, value in network.state_dict().items()}
    torch.save(state, file)
    with pytest.raises(CheckpointError, match="expected a checkpoint of pyannote.audio"):
        WeSpeakerEmbedder.from_pretrained(file)
    for change in ({"resnet.seg_2.weight": torch.zeros(256, 256)}, {"resnet.conv1.weight": None}):
        changed = {key: value for key, value in {**state, **change}.items() if value is not None}
        write_published(file, changed)
        with pytest.raises(CheckpointError, match="expected the weights that"):
            WeSpeakerEmbedder.from_pretrained(file)
    torch.save({"state_dict": state, "hyper_parameters": Payload(tmp_path / "ran")}, file)
    with pytest.raises(CheckpointError, match="not read"):
        WeSpeakerEmbedder.from_pretrained(file)
    assert not (tmp_path / "ran").exists()
