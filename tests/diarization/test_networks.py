"""The networks in the form in which they run: the head, and windows that share their encoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.head import HeadConfig, PowersetHead
from espnet_prune.diarization.inference_config import InferenceConfig
from espnet_prune.diarization.networks import Networks
from espnet_prune.diarization.pipeline import Diarizer
from tests.diarization.scripted import scripted_model, write_script
from tests.encoders import tiny_config

SCRIPT = [(0.5, 3.0, 0), (2.5, 6.1, 1), (7.0, 9.5, 2), (9.0, 12.0, 0), (12.2, 17.5, 1)]


@pytest.fixture
def networks():
    """Those of a scripted model, whose windows of 2 s have 99 frames."""
    return Networks(scripted_model(), InferenceConfig())


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_the_form_of_a_head_has_its_outputs(norm):
    torch.manual_seed(0)
    head = PowersetHead(24, 7, HeadConfig(32, 2, 4, 48, 5, norm=norm)).eval()
    for tensor in head.state_dict().values():  # statistics of batches, and biases, too
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape))
    features = torch.randn(3, 50, 24)
    with torch.no_grad():
        expected = head(features, torch.full((3,), 50))
    found = head.inference_form()(features)
    assert torch.allclose(found, expected, atol=1e-5) and not found.requires_grad
    rough = head.inference_form(torch.bfloat16)(features)
    assert rough.dtype == torch.float32 and (rough - expected).abs().max() < 0.2


@pytest.mark.parametrize("samples", [32000, 32001, 50000, 64000, 100000, 131072])
@pytest.mark.parametrize("batch", [1, 3])
def test_pieces_join_to_what_the_whole_would_be(networks, samples, batch):
    codes = np.random.default_rng(0).integers(0, 2, samples // 320 + 1)
    wav = torch.from_numpy(np.repeat(codes, 320)[:samples] / 128).float()
    pieces = []

    def counting(function, items):
        items = list(items)
        pieces.extend(item for each in items for item in each)
        return map(function, items)

    whole = networks.hear(wav[None])
    joined = networks.hear_long(wav, 32000, batch, counting)
    assert torch.equal(joined.features, whole.features)
    assert joined.states.keys() == whole.states.keys() == {0}
    assert torch.equal(joined.states[0], whole.states[0])
    # Seven eighths of a piece are its own, and the last one may be of any overlap.
    assert len(pieces) <= 1 + np.ceil((samples - 32000) / (32000 * 0.87))


@pytest.mark.parametrize("options", [{}, {"step": 0.5}, {"step": 0.26, "batch_size": 3}])
@pytest.mark.parametrize("seconds", [1.5, 2.0, 18.0, 18.013])
def test_shared_windows_find_the_same_turns(tmp_path, options, seconds):
    script = [turn for turn in SCRIPT if turn[1] <= seconds]
    path = write_script(tmp_path / "m.wav", script, seconds)
    apart, shared = (
        Diarizer(scripted_model(), InferenceConfig(share_overlap=share, **options)).run(path)
        for share in (False, True)
    )
    assert apart.turns == shared.turns
    for name, voice in apart.voices.items():
        assert np.allclose(voice, shared.voices[name], atol=1e-6)


def test_shared_windows_are_encoded_about_once(tmp_path, monkeypatch):
    path = write_script(tmp_path / "m.wav", SCRIPT, 60.0)
    subject = Diarizer(scripted_model(), InferenceConfig(step=0.2, share_overlap=True))
    encoder, heard = subject.local.networks.encoder, []
    stream = encoder.stream
    monkeypatch.setattr(encoder, "stream", lambda wavs: heard.append(wavs.numel()) or stream(wavs))
    subject(path)
    assert 60 < sum(heard) / 16000 < 75


def test_threads_do_not_matter(tmp_path):
    path = write_script(tmp_path / "m.wav", SCRIPT, 18.0)
    threads, found = torch.get_num_threads(), []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        try:
            found.append(Diarizer(scripted_model(), InferenceConfig(step=0.5)).run(path))
            assert torch.get_num_threads() == count
        finally:
            torch.set_num_threads(threads)
    assert found[0].turns and all(each.turns == found[0].turns for each in found)


def test_some_windows_of_a_stretch():
    stretch = Stretch(torch.arange(100.0), (0, 20, 40, 60), 30, shared=True)
    part = stretch.part([1, 2])
    assert part.starts == (0, 20) and part.shared and part.size == 30
    assert torch.equal(part.samples, torch.arange(20.0, 70.0))


def test_pieces_join_on_whispers_grid():
    own = Networks(scripted_model(encoder=tiny_config("whisper")), InferenceConfig())
    wav = torch.rand(70001).mul(8).floor() / 128
    whole = own.hear(wav[None]).features
    assert torch.equal(own.hear_long(wav, 32000, 2, map).features, whole)
