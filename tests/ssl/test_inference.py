"""The inference form gives the outputs of the encoder that it was derived from."""

import pytest
import torch

from espnet_prune.ssl import ConfigError, SSLEncoder, TransformerLayerConfig
from espnet_prune.ssl.inference import attention, front_end, inference_form
from tests.encoders import KINDS, NORMS, random_encoder, random_masks, tiny_config

EMPTIED = TransformerLayerConfig((), 0)


def assert_same(encoder, form, wavs, lengths=None):
    ours, expected = form(wavs, lengths), encoder(wavs, lengths)
    assert torch.equal(ours.lengths, expected.lengths)
    for our, their in zip(ours.hidden_states, expected.hidden_states, strict=True):
        assert (our - their).abs().max() <= 1e-5 * max(1.0, their.abs().max())


@pytest.mark.parametrize("family, size", KINDS)
@pytest.mark.parametrize("lengths", [None, [3000, 2111, 3000]])
@torch.no_grad()
def test_same_outputs(family, size, lengths, monkeypatch):
    monkeypatch.setattr(front_end, "_BLOCK", 700)
    monkeypatch.setattr(attention, "_BLOCK", 2000)
    encoder = random_encoder(tiny_config(family, size))
    lengths = None if lengths is None else torch.tensor(lengths)
    wavs = 0.5 * torch.randn(3, 3000) + 0.1
    assert_same(encoder, inference_form(encoder), wavs, lengths)


@pytest.mark.parametrize("size", NORMS)
@pytest.mark.parametrize(
    "changes",
    [
        {"channel_scale": True},
        {"final_norm": False},
        {"pos_conv_kernel": 7},
        {"layers": (EMPTIED, TransformerLayerConfig((1,), 3), EMPTIED)},
    ],
)
@torch.no_grad()
def test_same_outputs_of_unusual_encoders(size, changes):
    encoder = random_encoder(tiny_config("wavlm", size, **changes))
    assert_same(encoder, inference_form(encoder), torch.randn(2, 2000))


@pytest.mark.parametrize("samples", [30, 31, 50, 700, 5001])
@torch.no_grad()
def test_every_length(samples):
    encoder = random_encoder(tiny_config())
    form = inference_form(encoder)
    assert_same(encoder, form, torch.randn(1, samples))


@pytest.mark.parametrize("family, size", KINDS)
@pytest.mark.parametrize(
    "dtype, states",
    [(torch.bfloat16,) * 2, (torch.float16,) * 2, (torch.qint8, torch.float32)],
)
@torch.no_grad()
def test_low_precision_is_close(family, size, dtype, states):
    encoder = random_encoder(tiny_config(family, size))
    form = inference_form(encoder, dtype)
    wavs, lengths = torch.randn(2, 2000), torch.tensor([2000, 1500])
    ours, expected = form(wavs, lengths).hidden_states, encoder(wavs, lengths).hidden_states
    for our, their in zip(ours, expected, strict=True):
        assert our.dtype == states
        assert (our - their).norm() < 0.05 * their.norm()


@torch.no_grad()
def test_the_encoder_is_left_as_it_is():
    encoder = random_encoder(tiny_config()).train()
    state = {name: value.clone() for name, value in encoder.state_dict().items()}
    form = inference_form(encoder)
    assert encoder.training and all(p.requires_grad for p in encoder.parameters())
    assert not form.training and not any(p.requires_grad for p in form.parameters())
    assert all(torch.equal(value, state[name]) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float64, torch.int32, torch.bool])
def test_other_precisions_are_refused(dtype):
    with pytest.raises(ConfigError, match=f"expected a precision of float32, .* found {dtype}"):
        inference_form(random_encoder(tiny_config()), dtype)


def test_masks_are_refused():
    config = tiny_config()
    with pytest.raises(ValueError, match="takes no masks"):
        inference_form(SSLEncoder(config))(torch.randn(1, 900), masks=random_masks(config))
