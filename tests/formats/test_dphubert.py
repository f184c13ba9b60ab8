"""An encoder out of a DPHuBERT or DiariZen file computes what the original does."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch

from espnet_prune.encoder import PRESETS, SSLConfig, SSLEncoder
from espnet_prune.formats.dphubert import encoder_from
from espnet_prune.storage import CheckpointError
from tests.encoders import NORMS
from tests.formats.dphubert_format import (
    HEADLESS,
    LAYERS,
    SCALE,
    TABLE,
    Config,
    Reference,
    State,
    dphubert_config,
    dphubert_state,
)
from tests.formats.parity import TOLERANCE, error_alone, error_in_a_batch, identical, waveforms

KINDS = [(family, size) for family in ("wavlm", "hubert") for size in NORMS]
every_kind = pytest.mark.parametrize("family, size", KINDS)
every_shape = pytest.mark.parametrize("layers", [LAYERS, HEADLESS])


def imported(config: Config, state: State) -> SSLEncoder:
    return encoder_from(config, state, "pruned.pth")


@every_kind
@every_shape
def test_hidden_states_are_the_originals(family: str, size: str, layers: Any) -> None:
    config = dphubert_config(family, size, layers)
    state = dphubert_state(config)
    encoder, original = imported(config, state), Reference(config, state)
    assert not encoder.training
    wavs = waveforms()
    assert error_alone(encoder, original, wavs) <= TOLERANCE
    assert error_in_a_batch(encoder, original, wavs, padded=False) <= TOLERANCE


@every_kind
@every_shape
def test_only_rounding_separates_us(family: str, size: str, layers: Any) -> None:
    config = dphubert_config(family, size, layers)
    state = {key: value.double() for key, value in dphubert_state(config).items()}
    encoder = imported(config, state).double()
    wavs = [wav.double() for wav in waveforms()]
    assert error_alone(encoder, Reference(config, state), wavs) <= 1e-12


PARTS = (
    "front_end.scale",
    "conv_layers.0.norm.bias",
    "conv_layers.3.conv.weight",
    "front_end.norm.bias",
    "projection.weight",
    "pos_conv.conv.parametrizations.weight.original0",
    "layers.1.attention.qkv.bias",
    "layers.3.attention.out_proj.bias",
    "layers.2.attention_norm.bias",
    "layers.2.feed_forward.fc1.bias",
    "layers.3.ffn_norm.bias",
    "position_bias.table.weight",
    "layers.1.attention.position_gate.linear.bias",
    "layers.1.attention.position_gate.scale",
)


@every_kind
@pytest.mark.parametrize("part", PARTS)
@torch.no_grad()
def test_parity_sees_every_part(family: str, size: str, part: str) -> None:
    config = dphubert_config(family, size)
    state = dphubert_state(config)
    encoder = imported(config, copy.deepcopy(state))  # whose tensors it takes over
    changed = [value for name, value in encoder.state_dict().items() if name.endswith(part)]
    assert bool(changed) == (family == "wavlm" or "position_" not in part)
    for value in changed:
        value.zero_()
    found = error_alone(encoder, Reference(config, state), waveforms()[:1])
    # Pre-norm models have no use for the norm before an emptied sublayer.
    idle = NORMS[size][1] and part in ("layers.2.attention_norm.bias", "layers.3.ffn_norm.bias")
    assert not found <= 100 * TOLERANCE if changed and not idle else found <= TOLERANCE


def test_heads_narrower_than_the_frames() -> None:
    changes = {"encoder_head_dim": 12, "encoder_num_heads": [3, 1, 0, 2, 4]}
    config = dphubert_config("hubert", "base", **changes)
    state = dphubert_state(config)
    encoder = imported(config, state)
    assert (encoder.config.num_heads, encoder.config.head_dim) == (4, 12)
    assert error_alone(encoder, Reference(config, state), waveforms()) <= TOLERANCE


@every_kind
def test_ones_need_no_factor(caplog: pytest.LogCaptureFixture, family: str, size: str) -> None:
    config = dphubert_config(family, size)
    state = dphubert_state(config)
    state[SCALE] = torch.ones_like(state[SCALE])
    with caplog.at_level("INFO"):
        encoder = imported(config, state)
    assert not encoder.config.channel_scale
    assert f"leaving out {SCALE}, which multiplies by one" in caplog.text
    assert error_alone(encoder, Reference(config, state), waveforms()[:1]) <= TOLERANCE
    # DPHuBERT's converted dense HuBERTs lack it.
    del state[SCALE]
    assert identical(imported(config, state), encoder)


@every_kind
def test_sublayers_closed_as_a_whole(family: str, size: str) -> None:
    # A closed gate of the sublayer leaves the numbers of its units in the config.
    config, expected = dphubert_config(family, size), dphubert_config(family, size)
    state = dphubert_state(config)
    if family == "wavlm":
        config["encoder_remaining_heads"][2] = [0, 1, 2, 3]
    else:
        config["encoder_num_heads"][2] = 4
    config["encoder_ff_interm_features"][3] = 12
    assert identical(imported(config, state), imported(expected, state))


def test_no_position_bias_without_the_first_attention() -> None:
    config = dphubert_config("wavlm", "base", HEADLESS)
    state = dphubert_state(config)
    assert TABLE not in state
    assert imported(config, state).position_bias.table.weight.count_nonzero() == 0
    with pytest.raises(CheckpointError, match=f"surplus: {TABLE}"):
        imported(config, {**state, TABLE: torch.ones(32, 4)})


def as_dphubert(config: SSLConfig) -> Config:
    """The config of a WavLM file of our ``config``'s shape."""
    count = len(config.layers)
    return dphubert_config(
        "wavlm",
        "large" if config.norm_first else "base",
        [(layer.heads, layer.ffn) for layer in config.layers],
        extractor_conv_layer_config=[(c.channels, c.kernel, c.stride) for c in config.conv_layers],
        encoder_embed_dim=config.embed_dim,
        encoder_projection_dropout=config.projection_dropout,
        encoder_pos_conv_kernel=config.pos_conv_kernel,
        encoder_pos_conv_groups=config.pos_conv_groups,
        encoder_total_num_heads=[config.num_heads] * count,
        encoder_num_buckets=config.num_buckets,
        encoder_max_distance=config.max_distance,
        encoder_attention_dropout=config.attention_dropout,
        encoder_ff_interm_dropout=config.ffn_dropout,
        encoder_dropout=config.hidden_dropout,
    )


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["wavlm_base_plus_s80", "wavlm_large_s80"])
def test_published_shapes(preset: str) -> None:
    expected = PRESETS[preset]()
    config = as_dphubert(expected)
    state = dphubert_state(config)
    encoder = imported(config, state)
    unnormed = not expected.norm_first
    assert encoder.config == replace(expected, channel_scale=True, final_norm=unnormed)
    wavs = waveforms((16000,))
    assert error_alone(encoder, Reference(config, state), wavs) <= TOLERANCE
