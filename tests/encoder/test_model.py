"""The encoder's forward pass: batch equals single, frames are counted, bad input is refused."""

import pytest
import torch

from espnet_prune.encoder import PRESETS, ConfigError, SSLConfig, TransformerLayerConfig
from tests.encoders import KINDS, random_encoder, random_masks, tiny_config


@pytest.mark.parametrize("family, size", KINDS)
@pytest.mark.parametrize("masked", [False, True])
def test_batch_equals_single(family, size, masked):
    config = tiny_config(family, size)
    # In float64, where it does not depend on the machine's order of summation.
    encoder = random_encoder(config).double()
    masks = random_masks(config).map(torch.Tensor.double) if masked else None
    lengths = torch.tensor([900, 411, 640])
    wavs = torch.randn(3, 900, dtype=torch.float64)
    batch = encoder(wavs, lengths, masks)
    for index, length in enumerate(lengths):
        single = encoder(wavs[index : index + 1, :length], masks=masks)
        frames = int(single.lengths)
        assert frames == int(batch.lengths[index]) == single.hidden_states[0].size(1)
        for ours, alone in zip(batch.hidden_states, single.hidden_states, strict=True):
            torch.testing.assert_close(ours[index, :frames], alone[0], atol=1e-12, rtol=0)
            assert not ours[index, frames:].any()


@pytest.mark.parametrize("family, size", KINDS)
def test_padding_content_is_ignored(family, size):
    encoder = random_encoder(tiny_config(family, size))
    lengths = torch.tensor([900, 500])
    wavs = torch.randn(2, 900)
    noisy = wavs.clone()
    noisy[1, 500:] = 100.0
    before = encoder(wavs, lengths).hidden_states[-1]
    torch.testing.assert_close(encoder(noisy, lengths).hidden_states[-1], before)


def test_every_state_is_returned_and_position_bias_matters():
    config = tiny_config()
    encoder = random_encoder(config)
    wavs = torch.randn(1, 800)
    states = encoder(wavs).hidden_states
    assert len(states) == len(config.layers) + 1
    encoder.position_bias.table.weight.data.zero_()
    assert not torch.allclose(encoder(wavs).hidden_states[-1], states[-1], atol=1e-3)


@pytest.mark.parametrize("samples, frames", [(16000, 49), (80000, 249), (128000, 399), (399, 0)])
def test_frame_count_of_the_published_front_end(samples, frames):
    config = PRESETS["wavlm_base_plus"]()
    assert config.num_frames(samples) == frames
    assert (config.receptive_field, config.hop) == (400, 320)


@pytest.mark.parametrize("wavs", [torch.zeros(1, 10), torch.zeros(1, 1, 900)])
def test_impossible_input_is_refused(wavs):
    with pytest.raises(ValueError, match="expected waveforms"):
        random_encoder(tiny_config())(wavs)


def test_config_round_trip_and_problems():
    config = tiny_config()
    assert SSLConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ConfigError, match="unknown key depth"):
        SSLConfig.from_dict({**config.to_dict(), "depth": 3})
    with pytest.raises(ConfigError, match="embed_dim: expected a value, found none"):
        SSLConfig.from_dict({"family": "wavlm"})
    with pytest.raises(ConfigError, match="expected a family of .*, whisper, found .whisker."):
        tiny_config("whisker")
    with pytest.raises(ConfigError, match="pos_conv_groups 5 does not divide 16"):
        tiny_config(pos_conv_groups=5)


@pytest.mark.parametrize(
    "ranks, told", [((3,), "expected one of each of"), ((0, 0, 9, 9), "not there")]
)
def test_ranks_that_cannot_be_are_refused(ranks, told):
    layer = TransformerLayerConfig((0,), 0, ranks=ranks)
    with pytest.raises(ConfigError, match=told):
        tiny_config(layers=(layer,))
