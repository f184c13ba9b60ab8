"""What Whisper alone does, and that a family from outside of the package takes one line."""

import re

import pytest
import torch

from espnet_prune.encoder import PRESETS, ConfigError, ConvLayerConfig, SSLEncoder
from espnet_prune.encoder.families import FAMILIES, Family
from espnet_prune.encoder.families.whisper import POSITIONS, sinusoids
from espnet_prune.encoder.front_end import FrontEnd
from espnet_prune.pruning import count_params
from tests.encoders import random_encoder, tiny_config


@torch.no_grad()
def test_padding_is_silence_that_is_heard():
    encoder = random_encoder(tiny_config("whisper", "padded"))
    wavs = torch.randn(2, 8000)
    padded = encoder(wavs).hidden_states
    silence = torch.nn.functional.pad(wavs, (0, 40000))
    for ours, theirs in zip(padded, encoder.pad_to(None)(silence).hidden_states, strict=True):
        torch.testing.assert_close(ours, theirs[:, :25])
    own = encoder(wavs).hidden_states[-1]
    assert own.shape == padded[-1].shape and (own - padded[-1]).abs().max() > 0.01


@pytest.mark.parametrize("samples, accepted", [(48000, True), (48159, True), (48160, False)])
@torch.no_grad()
def test_longer_than_what_is_padded_to(samples, accepted):
    encoder = random_encoder(tiny_config("whisper", "padded"))
    wavs = torch.randn(1, samples)
    if accepted:
        assert encoder(wavs).hidden_states[-1].size(1) == 150
        return
    with pytest.raises(ValueError, match=r"at most 3 s, .* found 3.01 s; cut it, or .*pad_to\(No"):
        encoder(wavs)


@torch.no_grad()
def test_positions_go_on_beyond_30_s():
    encoder = random_encoder(tiny_config("whisper", "own"))
    front_end = encoder.front_end
    found = front_end._positions(POSITIONS + 50, 16)
    assert torch.equal(found[:POSITIONS], front_end.positions)
    assert torch.equal(found[POSITIONS:], sinusoids(POSITIONS + 50, 16)[POSITIONS:])
    assert encoder(torch.randn(1, 496000)).hidden_states[-1].shape == (1, 1550, 16)


@torch.no_grad()
def test_features_stay_in_float32_under_autocast():
    encoder = random_encoder(tiny_config("whisper", "own"))
    wavs, lengths = torch.randn(2, 8000), torch.tensor([8000, 5000])
    expected = encoder.front_end.log_mel(wavs, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encoder.front_end.log_mel(wavs, lengths), expected)
        assert encoder(wavs, lengths).hidden_states[-1].isfinite().all()


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({"mel_bands": None}, "expected mel_bands from 1 to 1000000, found 0"),
        ({"norm_first": False}, "expected norm_first True in a Whisper encoder, found False"),
        ({"pos_conv_kernel": 8}, "expected pos_conv_kernel 0 in a Whisper encoder, found 8"),
        ({"conv_layers": (ConvLayerConfig(7, 10, 5),)}, "one convolution of kernel 3 and stride 1"),
        ({"mel_bands": 999}, "expected at most 201 mel_bands, found 999"),
        ({"padded_to": 0.001}, "expected padded_to from 0.01 to 30 s, found 0.001"),
        ({"padded_to": 31}, "expected padded_to from 0.01 to 30 s, found 31.0"),
    ],
)
def test_impossible_configs(changes, problem):
    with pytest.raises(ConfigError, match=re.escape(problem)):
        tiny_config("whisper", "own", **changes)


def test_other_families_are_not_padded():
    with pytest.raises(ConfigError, match="a HuBERT hears waveforms of any length, found pad"):
        SSLEncoder(tiny_config("hubert")).pad_to(30)
    with pytest.raises(ConfigError, match="a WavLM hears waveforms of any length, found mel_ba"):
        tiny_config("wavlm", mel_bands=80)


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("whisper")])
def test_presets_are_transformers(name):
    transformers = pytest.importorskip("transformers")
    config = PRESETS[name]()
    theirs = transformers.WhisperConfig(
        d_model=config.embed_dim,
        encoder_layers=len(config.layers),
        encoder_attention_heads=config.num_heads,
        encoder_ffn_dim=config.layers[0].ffn,
        num_mel_bins=config.mel_bands,
        decoder_layers=1,
        decoder_attention_heads=config.num_heads,
    )
    model = transformers.WhisperModel  # imported before there is another default device
    with torch.device("meta"):
        encoder = model(theirs).encoder
    positions = encoder.embed_positions.weight.numel()
    assert count_params(config).total == encoder.num_parameters() - positions


class Halved(Family):
    """Hears every waveform at half its level."""

    def front_end(self, config):
        class Quiet(FrontEnd):
            def forward(self, wavs, lengths, masks):
                return super().forward(wavs / 2, lengths, masks)

        return Quiet(config)


def test_a_family_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(FAMILIES, "halved", Halved("Halved"))
    encoder = random_encoder(tiny_config("halved", "base"))
    encoder.save_pretrained(tmp_path)
    again, wavs = SSLEncoder.from_pretrained(tmp_path), torch.randn(1, 900)
    same = SSLEncoder(tiny_config("hubert", "base")).eval()
    same.load_state_dict(encoder.state_dict())
    assert torch.equal(again(wavs).hidden_states[-1], same(wavs / 2).hidden_states[-1])
    assert "of the Halved family" in (tmp_path / "README.md").read_text()
