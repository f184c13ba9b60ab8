"""The inference form gives the outputs of the encoder that it was derived from."""

import itertools
import logging

import pytest
import torch

from espnet_prune.encoder import ConfigError, SSLEncoder, TransformerLayerConfig
from espnet_prune.inference import attention, fast_dtype, front_end, inference_form
from tests.encoders import KINDS, NORMS, random_encoder, random_masks, thin_config, tiny_config

FORM = "espnet_prune.inference.form"
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
    monkeypatch.setattr(front_end, "STRETCH", 700)
    monkeypatch.setattr(attention, "BIAS_BLOCK", 2000)
    encoder = random_encoder(tiny_config(family, size))
    lengths = None if lengths is None else torch.tensor(lengths)
    wavs = 0.5 * torch.randn(3, 3000) + 0.1
    assert_same(encoder, inference_form(encoder), wavs, lengths)


EVERYWHERE = [
    {"final_norm": False},
    {"layers": thin_config().layers},
    {"layers": (EMPTIED, TransformerLayerConfig((1,), 3), EMPTIED)},
]
IN_WAVLM = [{"channel_scale": True}, {"pos_conv_kernel": 7}]


@pytest.mark.parametrize(
    "family, size, changes",
    [
        *itertools.product(["wavlm"], NORMS, EVERYWHERE + IN_WAVLM),
        *itertools.product(["whisper"], ["own"], EVERYWHERE),
    ],
)
@torch.no_grad()
def test_same_outputs_of_unusual_encoders(family, size, changes):
    encoder = random_encoder(tiny_config(family, size, **changes))
    assert_same(encoder, inference_form(encoder), torch.randn(2, 2000))


@pytest.mark.parametrize("family", ["wavlm", "whisper"])
@pytest.mark.parametrize("samples", [0, 1, 20, 160, 670, 4971])
@torch.no_grad()
def test_every_length(family, samples):
    encoder = random_encoder(tiny_config(family))
    form, samples = inference_form(encoder), encoder.config.shortest + samples
    assert_same(encoder, form, torch.randn(1, samples))


def test_no_slower_precision_than_float32(monkeypatch, caplog):
    monkeypatch.setattr(f"{FORM}.has_instructions", lambda dtype: dtype == torch.qint8)
    monkeypatch.setattr(f"{FORM}._warn_once", logging.getLogger(FORM).warning)
    assert fast_dtype("bfloat16") == fast_dtype("float16") == torch.float32
    assert fast_dtype("bfloat16", "cuda:0") == torch.bfloat16
    assert fast_dtype("int8") == torch.qint8
    assert "no instructions for bfloat16" in caplog.text


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


@pytest.mark.parametrize("family", ["wavlm", "whisper"])
def test_masks_are_refused(family):
    config = tiny_config(family)
    with pytest.raises(ValueError, match="takes no masks"):
        inference_form(SSLEncoder(config))(torch.randn(1, 900), masks=random_masks(config))
