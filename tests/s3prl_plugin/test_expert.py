"""The upstream gives the encoder's own values, whatever the lengths and the batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

pytest.importorskip("s3prl")

from s3prl.nn import S3PRLUpstream

from s3prl_plugin.expert import UpstreamExpert

# Below s3prl's minimum of 800 samples, around it, where two frames face an expected four
# (961 to 1039), and ordinary.
LENGTHS = [1, 100, 400, 799, 800, 801, 960, 961, 1039, 1040, 3200, 5000, 16000, 16001]


def _wavs(*lengths: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [0.1 * torch.randn(n, generator=generator) + 0.05 for n in lengths]


def _close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_batch_gives_the_encoders_values(encoder, folder):
    wavs = _wavs(5000, 16000, 9000)
    features = UpstreamExpert(folder)(wavs)
    states, frames = encoder(
        pad_sequence(wavs, batch_first=True), torch.tensor([5000, 16000, 9000])
    )
    assert len(features["hidden_states"]) == len(encoder.config.layers) + 1
    for actual, expected in zip(features["hidden_states"], states, strict=True):
        assert actual.shape == expected.shape
        for item, length in enumerate(frames.tolist()):
            _close(actual[item, :length], expected[item, :length])
    assert features["last_hidden_state"] is features["hidden_states"][-1]


@torch.no_grad()
def test_each_item_of_a_batch_equals_the_encoder_alone(encoder, folder):
    wavs = _wavs(5000, 16000, 9000)
    features = UpstreamExpert(folder)(wavs)["hidden_states"]
    for item, wav in enumerate(wavs):
        states, frames = encoder(wav[None])
        for actual, expected in zip(features, states, strict=True):
            _close(actual[item, : int(frames)], expected[0])


@torch.no_grad()
def test_frames_past_an_items_end_repeat_its_last(encoder, folder):
    count = encoder.config.num_frames(5000)
    for state in UpstreamExpert(folder)(_wavs(5000, 16000))["hidden_states"]:
        before, last, *after = state[0, count - 2 :]
        assert after and all(torch.equal(frame, last) for frame in after)
        assert not torch.equal(before, last)


@torch.no_grad()
@pytest.mark.parametrize("length", LENGTHS)
def test_s3prl_accepts_every_length(encoder, folder, length):
    upstream = S3PRLUpstream("pruned_wavlm", str(folder)).eval()
    (wav,) = _wavs(length)
    states, lengths = upstream(wav[None], torch.tensor([length]))
    padded = torch.cat([wav, torch.zeros(max(0, 800 - length))])
    expected, frames = encoder(padded[None])
    assert upstream.num_layers == len(states) == len(encoder.config.layers) + 1
    assert set(upstream.downsample_rates) == {320}
    for actual, want, count in zip(states, expected, lengths, strict=True):
        assert actual.shape == (1, (length - 1) // 320 + 1, encoder.config.embed_dim)
        assert count.tolist() == [actual.size(1)]
        common = min(int(frames), actual.size(1))
        _close(actual[:, :common], want[:, :common])


@torch.no_grad()
def test_s3prl_gets_the_same_from_a_batch_as_from_single_items(folder):
    upstream = S3PRLUpstream("pruned_wavlm", str(folder)).eval()
    lengths = [800, 961, 5000, 16000, 16001]
    wavs = _wavs(*lengths)
    batch, frames = upstream(pad_sequence(wavs, batch_first=True), torch.tensor(lengths))
    for item, wav in enumerate(wavs):
        single, _ = upstream(wav[None], torch.tensor([len(wav)]))
        for actual, expected, count in zip(batch, single, frames, strict=True):
            _close(actual[item, : int(count[item])], expected[0])


@torch.no_grad()
def test_an_item_shorter_than_a_frame_leaves_its_neighbour_alone(folder):
    upstream = UpstreamExpert(folder)
    short, long = _wavs(10, 5000)
    alone = upstream([long])["hidden_states"]
    for actual, expected in zip(upstream([short, long])["hidden_states"], alone, strict=True):
        assert actual.isfinite().all()
        _close(actual[1], expected[0])


def test_training_gives_as_many_layers_as_evaluation_and_reaches_every_one(folder):
    upstream = UpstreamExpert(folder)
    count = len(upstream.eval()(_wavs(3200))["hidden_states"])
    upstream.train()
    for _ in range(5):
        assert len(upstream(_wavs(3200))["hidden_states"]) == count
    sum(state.square().sum() for state in upstream(_wavs(1, 3200))["hidden_states"]).backward()
    for name, parameter in upstream.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@torch.no_grad()
def test_waveforms_of_other_floats(folder):
    expert = UpstreamExpert(folder)
    wavs = _wavs(5000, 900)
    expected = expert(wavs)["last_hidden_state"]
    assert torch.equal(expert([wav.double() for wav in wavs])["last_hidden_state"], expected)
    mixed = [wavs[0].double(), wavs[1]]
    assert torch.equal(expert(mixed)["last_hidden_state"], expected)
    assert expert([wav.half() for wav in wavs])["last_hidden_state"].dtype == torch.float32


@torch.no_grad()
def test_an_empty_waveform_is_silence(folder):
    expert = UpstreamExpert(folder)
    states = expert([*_wavs(5000), torch.zeros(0)])["hidden_states"]
    alone = expert([torch.zeros(0)])["hidden_states"]
    for state, other in zip(states, alone, strict=True):
        assert state.isfinite().all()
        _close(state[1, 0], other[0, 0])


@pytest.mark.parametrize(
    "wavs, found",
    [
        ([], "found none"),
        ([torch.zeros(1, 900)], r"found \(1, 900\) torch.float32"),
        ([torch.zeros(900), torch.zeros(900).short()], r"torch.float32, \(900,\) torch.int16"),
    ],
)
def test_other_waveforms_are_refused(folder, wavs, found):
    with pytest.raises(ValueError, match=rf"expected waveforms \(T,\) of floats .* {found}"):
        UpstreamExpert(folder)(wavs)
