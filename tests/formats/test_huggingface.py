"""An encoder out of a transformers model is that model, layer by layer, or it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from espnet_prune.encoder import PRESETS, EncoderOutput
from espnet_prune.encoder.attention import RelativePositionBias
from espnet_prune.formats.huggingface import import_huggingface, import_huggingface_model
from tests.encoders import NORMS, WAVEFORM_KINDS
from tests.formats.parity import TOLERANCE, error_alone, error_in_a_batch, identical, waveforms
from tests.formats.transformers_models import (
    NAMES,
    small_model,
    transformers_model,
    transformers_original,
)

every_kind = pytest.mark.parametrize("family, size", WAVEFORM_KINDS)


@every_kind
def test_hidden_states_are_the_originals(tmp_path: Path, family: str, size: str) -> None:
    model = small_model(family, size)
    model.save_pretrained(tmp_path)
    encoder, original = import_huggingface(tmp_path), transformers_original(model)
    assert not encoder.training
    wavs = waveforms()
    assert error_alone(encoder, original, wavs) <= TOLERANCE
    # transformers lets padding into group norms; our item is what it is alone.
    padded = NORMS[size][0] == "layer"
    assert error_in_a_batch(encoder, original, wavs, padded) <= TOLERANCE


@every_kind
def test_only_rounding_separates_us(family: str, size: str) -> None:
    model = small_model(family, size)
    encoder = import_huggingface_model(model).double()
    wavs = [wav.double() for wav in waveforms()]
    assert error_alone(encoder, transformers_original(model.double()), wavs) <= 1e-12


PARTS = (
    "conv_layers.0.norm.bias",
    "projection.weight",
    "pos_conv.conv.bias",
    "qkv.bias",
    "out_proj.bias",
    "fc1.bias",
    "layers.1.ffn_norm.bias",
    "position_bias.table.weight",
    "position_gate.scale",
)


@every_kind
@pytest.mark.parametrize("part", PARTS)
@torch.no_grad()
def test_parity_sees_every_part(family: str, size: str, part: str) -> None:
    model = small_model(family, size)
    encoder = import_huggingface_model(model)
    changed = [value for name, value in encoder.named_parameters() if name.endswith(part)]
    assert bool(changed) == (family == "wavlm" or not part.startswith("position_"))
    for value in changed:
        value.zero_()
    found = error_alone(encoder, transformers_original(model), waveforms()[:1])
    assert (found > 100 * TOLERANCE) == bool(changed)


def test_position_bias_of_the_published_sizes() -> None:
    ours = RelativePositionBias(320, 800, 2)
    attention = pytest.importorskip("transformers.models.wavlm.modeling_wavlm").WavLMAttention(8, 2)
    ours.table.weight.data = torch.arange(640.0).view(320, 2)
    attention.rel_attn_embed.weight.data = torch.arange(640.0).view(320, 2)
    assert torch.equal(ours(900), attention.compute_bias(900, 900))


@every_kind
def test_config_is_the_sources(family: str, size: str) -> None:
    config = import_huggingface_model(small_model(family, size)).config
    assert config.family == family
    assert [(c.channels, c.kernel, c.stride) for c in config.conv_layers] == [
        (64, 10, 5),
        (64, 3, 2),
        (64, 3, 2),
        (48, 2, 2),
    ]
    assert (config.conv_norm, config.norm_first) == NORMS[size]
    assert config.conv_bias == (config.conv_norm == "layer" and family != "wavlm")
    assert (config.num_heads, config.head_dim, config.embed_dim) == (4, 8, 32)
    assert (config.pos_conv_kernel, config.pos_conv_groups) == (8 if config.norm_first else 7, 4)
    if family == "wavlm":
        assert (config.num_buckets, config.max_distance) == (32, 64)
    assert (config.hidden_dropout, config.attention_dropout) == (0.1, 0.2)
    assert (config.ffn_dropout, config.projection_dropout) == (0.3, 0.4)
    assert [(layer.heads, layer.ffn) for layer in config.layers] == [((0, 1, 2, 3), 48)] * 3
    assert config.final_norm and not config.channel_scale


HEADS = [
    ("wav2vec2", "ForPreTraining", "quantizer.codevectors"),
    ("wav2vec2", "ForPreTraining", "project_hid.weight"),
    *((family, "ForCTC", "lm_head.bias") for family in NAMES),
    *((family, "ForSequenceClassification", "projector.weight") for family in NAMES),
    ("wavlm", "ForAudioFrameClassification", "classifier.weight"),
    ("wav2vec2", "ForAudioFrameClassification", "layer_weights"),
    ("wavlm", "ForXVector", "feature_extractor.weight"),
    ("wav2vec2", "ForXVector", "objective.weight"),
]


@pytest.mark.parametrize("family, head, dropped", HEADS)
@pytest.mark.parametrize("size", ["base", "large"])
def test_heads_are_dropped_by_name(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    family: str,
    size: str,
    head: str,
    dropped: str,
) -> None:
    model = small_model(family, size, head, use_weighted_layer_sum=True)
    model.save_pretrained(tmp_path)
    with caplog.at_level("INFO"):
        encoder = import_huggingface(tmp_path)
    assert f"leaving out {dropped}, which" in caplog.text
    assert f"leaving out {family}.masked_spec_embed, which" in caplog.text
    original = transformers_original(getattr(model, family))
    assert error_alone(encoder, original, waveforms()) <= TOLERANCE
    assert identical(import_huggingface_model(model), encoder)


LARGE = dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
STABLE = dict(LARGE, feat_extract_norm="layer", do_stable_layer_norm=True)
PUBLISHED = {
    "wavlm_base": {},
    "wavlm_large": STABLE,
    "hubert_base": {},
    "hubert_large": STABLE,
    "wav2vec2_base": {},
    "wav2vec2_large": LARGE,
    "wav2vec2_large_lv60k": dict(STABLE, conv_bias=True),
}


@pytest.mark.slow
@pytest.mark.parametrize("preset", PUBLISHED)
@torch.no_grad()
def test_published_sizes(preset: str) -> None:
    expected = PRESETS[preset]()
    dropouts = {
        f"{part}_dropout": getattr(expected, f"{part}_dropout")
        for part in ("projection", "attention", "ffn", "hidden")
    }
    model = transformers_model(preset.partition("_")[0], **PUBLISHED[preset])
    encoder, original = import_huggingface_model(model), transformers_original(model)
    assert replace(encoder.config, **dropouts) == expected
    wavs = waveforms((16000, 11000))
    # A pre-norm model's residual stream grows with depth, and 32 bits' rounding with it:
    # transformers' own states are up to 1.3e-5 off those in 64 bits. Hence errors in units of a
    # state's standard deviation, which is 1 after a LayerNorm.
    deviations = [max(1.0, float(state.std())) for state in original(wavs[:1])]

    def scaled(states: Sequence[Tensor]) -> list[Tensor]:
        return [state / value for state, value in zip(states, deviations, strict=True)]

    def ours(*batch: Tensor) -> EncoderOutput:
        states, lengths = encoder(*batch)
        return EncoderOutput(scaled(states), lengths)

    def theirs(batch: Sequence[Tensor]) -> list[Tensor]:
        return scaled(original(batch))

    assert error_alone(ours, theirs, wavs[:1]) <= TOLERANCE
    padded = expected.conv_norm == "layer"
    assert error_in_a_batch(ours, theirs, wavs, padded) <= TOLERANCE
    encoder.double(), model.double()
    assert error_alone(encoder, original, [wavs[0].double()]) <= 1e-12
