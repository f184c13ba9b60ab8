"""An encoder out of a torchaudio model is that model, layer by layer, or it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from espnet_prune.encoder import PRESETS
from espnet_prune.formats.torchaudio import import_bundle, import_torchaudio
from espnet_prune.storage import CheckpointError
from tests.encoders import NORMS
from tests.formats.parity import (
    TOLERANCE,
    Original,
    error_alone,
    error_in_a_batch,
    identical,
    randomise,
    waveforms,
)

torchaudio = pytest.importorskip("torchaudio")

DOWNLOAD = "torchaudio.pipelines._wav2vec2.utils.load_state_dict_from_url"
KINDS = [(family, size) for family in ("wavlm", "wav2vec2") for size in NORMS]
every_kind = pytest.mark.parametrize("family, size", KINDS)


def params(family: str, size: str, **changes: Any) -> dict[str, Any]:
    """What a factory of torchaudio, or a bundle, is given."""
    conv_norm, norm_first = NORMS[size]
    values = dict(
        extractor_mode=f"{conv_norm}_norm",
        extractor_conv_layer_config=[(16, 10, 5), (16, 3, 2), (16, 3, 2), (12, 2, 2)],
        extractor_conv_bias=size in ("large", "group_pre") and family != "wavlm",
        encoder_embed_dim=32,
        encoder_projection_dropout=0.4,
        encoder_pos_conv_kernel=8 if norm_first else 7,
        encoder_pos_conv_groups=4,
        encoder_num_layers=3,
        encoder_num_heads=4,
        encoder_attention_dropout=0.2,
        encoder_ff_interm_features=48,
        encoder_ff_interm_dropout=0.3,
        encoder_dropout=0.1,
        encoder_layer_norm_first=norm_first,
        encoder_layer_drop=0.5,
        aux_num_out=None,
    )
    if family == "wavlm":
        values.update(encoder_num_buckets=32, encoder_max_distance=64)
    return {**values, **changes}


def small_model(family: str, size: str, **changes: Any) -> nn.Module:
    """A model of a few thousand parameters, every one of them random."""
    factory = getattr(torchaudio.models, f"{family}_model")
    return randomise(factory(**params(family, size, **changes)))


def torchaudio_original(model: nn.Module, normalize: bool = False) -> Original:
    """The input of the first layer, the states of ``extract_features``, the encoder's output."""
    encoder = getattr(model, "model", model).encoder

    def run(wavs: Sequence[Tensor]) -> Sequence[Tensor]:
        if normalize:
            wavs = [F.layer_norm(wav, wav.shape) for wav in wavs]
        lengths = None if len(wavs) == 1 else torch.tensor([len(wav) for wav in wavs])
        padded = pad_sequence(list(wavs), batch_first=True)
        states = model.extract_features(padded, lengths)[0]
        ends: list[Tensor] = []
        layer = encoder.transformer.layers[0]
        hooks = (
            layer.register_forward_pre_hook(lambda _, given: ends.append(given[0])),
            encoder.register_forward_hook(lambda _, given, output: ends.append(output)),
        )
        model(padded, lengths)
        for hook in hooks:
            hook.remove()
        first, last = ends
        return [first, *states[:-1], last]

    return run


@every_kind
def test_hidden_states_are_the_originals(family: str, size: str) -> None:
    model = small_model(family, size)
    encoder = import_torchaudio(model)
    assert not encoder.training
    layer_norm = NORMS[size][0] == "layer"
    original, wavs = torchaudio_original(model, layer_norm), waveforms()
    assert error_alone(encoder, original, wavs) <= TOLERANCE
    # torchaudio lets padding into group norms, and its WavLM takes no padding: our item is what it
    # is alone.
    padded = layer_norm and family != "wavlm"
    assert error_in_a_batch(encoder, original, wavs, padded) <= TOLERANCE


@every_kind
def test_only_rounding_separates_us(family: str, size: str) -> None:
    model = small_model(family, size)
    encoder = import_torchaudio(model).double()
    original = torchaudio_original(model.double(), NORMS[size][0] == "layer")
    wavs = [wav.double() for wav in waveforms()]
    assert error_alone(encoder, original, wavs) <= 1e-12


PARTS = (
    "conv_layers.0.norm.bias",
    "conv_layers.3.conv.weight",
    "front_end.norm.bias",
    "projection.weight",
    "pos_conv.conv.bias",
    "pos_conv.conv.parametrizations.weight.original0",
    "qkv.bias",
    "out_proj.bias",
    "attention_norm.bias",
    "fc1.bias",
    "layers.1.ffn_norm.bias",
    "position_bias.table.weight",
    "position_gate.linear.bias",
    "position_gate.scale",
)


@every_kind
@pytest.mark.parametrize("part", PARTS)
@torch.no_grad()
def test_parity_sees_every_part(family: str, size: str, part: str) -> None:
    model = small_model(family, size)
    encoder = import_torchaudio(model)
    changed = [value for name, value in encoder.named_parameters() if name.endswith(part)]
    assert bool(changed) == (family == "wavlm" or not part.startswith("position_"))
    for value in changed:
        value.zero_()
    original = torchaudio_original(model, NORMS[size][0] == "layer")
    found = error_alone(encoder, original, waveforms()[:1])
    assert not found <= 100 * TOLERANCE if changed else found <= TOLERANCE


@every_kind
def test_config_is_the_models(family: str, size: str) -> None:
    config = import_torchaudio(small_model(family, size)).config
    assert config.family == family
    assert [(c.channels, c.kernel, c.stride) for c in config.conv_layers] == [
        (16, 10, 5),
        (16, 3, 2),
        (16, 3, 2),
        (12, 2, 2),
    ]
    assert (config.conv_norm, config.norm_first) == NORMS[size]
    assert config.conv_bias == params(family, size)["extractor_conv_bias"]
    assert (config.num_heads, config.head_dim, config.embed_dim) == (4, 8, 32)
    assert (config.pos_conv_kernel, config.pos_conv_groups) == (8 if config.norm_first else 7, 4)
    if family == "wavlm":
        assert (config.num_buckets, config.max_distance) == (32, 64)
    assert (config.hidden_dropout, config.attention_dropout) == (0.1, 0.2)
    assert (config.ffn_dropout, config.projection_dropout) == (0.3, 0.4)
    assert [(layer.heads, layer.ffn) for layer in config.layers] == [((0, 1, 2, 3), 48)] * 3
    assert config.final_norm and not config.channel_scale


@every_kind
def test_a_head_is_dropped_by_name(
    caplog: pytest.LogCaptureFixture, family: str, size: str
) -> None:
    model = small_model(family, size, aux_num_out=5)
    with caplog.at_level("INFO"):
        encoder = import_torchaudio(model)
    assert "leaving out aux.weight, which" in caplog.text
    assert "leaving out aux.bias, which" in caplog.text
    model.aux = None
    assert identical(import_torchaudio(model), encoder)


@pytest.mark.parametrize("size", NORMS)
def test_a_bare_model_is_normalised_as_its_bundles_are(
    caplog: pytest.LogCaptureFixture, size: str
) -> None:
    layer_norm = NORMS[size][0] == "layer"
    with caplog.at_level("INFO"):
        encoder = import_torchaudio(small_model("wav2vec2", size))
    assert encoder.config.normalize_waveform == layer_norm
    assert f"waveforms are {'' if layer_norm else 'not '}normalized, as in the" in caplog.text


def test_every_bundle_normalises_as_its_front_end_says() -> None:
    bundles = [
        value
        for value in vars(torchaudio.pipelines).values()
        if isinstance(value, torchaudio.pipelines.Wav2Vec2Bundle)
    ]
    assert len(bundles) > 20
    for bundle in bundles:
        layer_norm = bundle._params["extractor_mode"] == "layer_norm"
        assert bundle._normalize_waveform == layer_norm


def offer(monkeypatch: pytest.MonkeyPatch, name: str, **changes: Any) -> Any:
    """The bundle ``name``, but for ``changes``, which can now be had without a network."""
    bundle = replace(getattr(torchaudio.pipelines, name), **changes)
    torch.manual_seed(0)
    factory = getattr(torchaudio.models, f"{bundle._model_type.lower()}_model")
    state = factory(**bundle._params).state_dict()

    def load_state_dict_from_url(url: str, **options: bool) -> dict[str, Tensor]:
        assert url.endswith(bundle._path) and options.get("weights_only", True)
        return state

    monkeypatch.setattr(torchaudio.pipelines, name, bundle)
    monkeypatch.setattr(DOWNLOAD, load_state_dict_from_url)
    return bundle


# A bundle's normalisation counts, whatever the front end: it is wrong for HUBERT_XLARGE on purpose.
@pytest.mark.parametrize(
    "name, family, size",
    [
        ("HUBERT_BASE", "hubert", "base"),
        ("HUBERT_XLARGE", "hubert", "group_pre"),
        ("WAV2VEC2_LARGE", "wav2vec2", "base"),
        ("WAV2VEC2_XLSR53", "wav2vec2", "large"),
        ("MMS_FA", "wav2vec2", "large"),
        ("WAVLM_BASE_PLUS", "wavlm", "base"),
        ("WAVLM_LARGE", "wavlm", "large"),
    ],
)
def test_bundles(monkeypatch: pytest.MonkeyPatch, name: str, family: str, size: str) -> None:
    given = params("wavlm" if family == "wavlm" else "wav2vec2", size)
    changes = {}
    if name == "MMS_FA":
        given["aux_num_out"], changes = 28, {"_remove_aux_axis": ()}
    bundle = offer(monkeypatch, name, _params=given, **changes)
    encoder = import_bundle(name)
    assert encoder.config.family == family
    assert encoder.config.normalize_waveform == bundle._normalize_waveform
    assert error_alone(encoder, torchaudio_original(bundle.get_model()), waveforms()) <= TOLERANCE


def test_bundles_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HUBERT_HUGE", "TACOTRON2_WAVERNN_CHAR_LJSPEECH", "Wav2Vec2Bundle"):
        with pytest.raises(CheckpointError, match=f"torchaudio:{name}: .* known: .*HUBERT_BASE"):
            import_bundle(name)

    def no_network(url: str, **options: bool) -> dict[str, Tensor]:
        assert options["weights_only"]
        raise URLError("no network")

    monkeypatch.setattr(DOWNLOAD, no_network)
    with pytest.raises(CheckpointError, match="torchaudio:HUBERT_BASE: .*no network.*check the"):
        import_bundle("HUBERT_BASE")


def test_other_models_are_refused() -> None:
    model = small_model("wav2vec2", "large")
    with pytest.raises(CheckpointError, match=r"Wav2Vec2Model, found Linear; pass"):
        import_torchaudio(nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match=r"own factories put together, found others"):
        import_torchaudio(torchaudio.models.Wav2Vec2Model(nn.Identity(), model.encoder))
    model.encoder.transformer.layers[1].register_buffer("extra", torch.zeros(2))
    with pytest.raises(CheckpointError, match=r"surplus: encoder.transformer.layers.1.extra;"):
        import_torchaudio(model)
    del model.encoder.transformer.layers[1].extra, model.encoder.transformer.layers[2].layer_norm
    with pytest.raises(CheckpointError, match=r"missing: encoder.transformer.layers.2.layer_norm."):
        import_torchaudio(model)


PUBLISHED = (
    "HUBERT_BASE",
    "HUBERT_LARGE",
    "WAV2VEC2_BASE",
    "WAV2VEC2_LARGE",
    "WAV2VEC2_LARGE_LV60K",
    "WAVLM_BASE",
    "WAVLM_LARGE",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    bundle = offer(monkeypatch, name)
    encoder, original = import_bundle(name), torchaudio_original(bundle.get_model())
    assert encoder.config == PRESETS[name.lower()]()
    wavs = waveforms((16000, 11000))
    assert error_alone(encoder, original, wavs[:1]) <= TOLERANCE
    assert error_in_a_batch(encoder, original, wavs, padded=False) <= TOLERANCE
