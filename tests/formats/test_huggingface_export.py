"""An exported folder is a stock model of transformers, which computes what ours does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from espnet_prune.encoder import (
    ConfigError,
    ConvLayerConfig,
    SSLConfig,
    SSLEncoder,
    TransformerLayerConfig,
)
from espnet_prune.formats import export_huggingface
from espnet_prune.formats.huggingface import import_huggingface
from espnet_prune.storage.tensors import load_file
from tests.encoders import WAVEFORM_KINDS, tiny_config
from tests.formats.parity import (
    TOLERANCE,
    error_alone,
    error_in_a_batch,
    identical,
    randomise,
    waveforms,
)
from tests.formats.transformers_models import NAMES, transformers_original

every_kind = pytest.mark.parametrize("family, size", WAVEFORM_KINDS)
SHAPES = ((10, 5), (3, 2), (2, 2))  # kernels and strides
CHANNELS = {"dense": (32, 32, 32), "pruned": (27, 32, 21)}
every_front_end = pytest.mark.parametrize("channels", CHANNELS.values(), ids=CHANNELS)


def exportable(family: str, size: str, channels: tuple[int, ...] = CHANNELS["pruned"]) -> SSLConfig:
    """A small config with a dense Transformer."""
    config = tiny_config(
        family,
        size,
        conv_layers=tuple(
            ConvLayerConfig(number, *shape) for number, shape in zip(channels, SHAPES, strict=True)
        ),
        projection_dropout=0.4,
        attention_dropout=0.2,
        ffn_dropout=0.3,
    ).dense(12)
    # The other families' files do not have these.
    return config if family == "wavlm" else replace(config, num_buckets=320, max_distance=800)


def encoder_of(config: SSLConfig) -> SSLEncoder:
    torch.manual_seed(0)
    return randomise(SSLEncoder(config))


@every_kind
@every_front_end
def test_transformers_computes_the_same(
    tmp_path: Path, family: str, size: str, channels: tuple[int, ...]
) -> None:
    transformers = pytest.importorskip("transformers")
    encoder = encoder_of(exportable(family, size, channels))
    export_huggingface(encoder, tmp_path)
    model, findings = transformers.AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(findings.values()), findings
    assert type(model).__name__ == f"{NAMES[family]}Model" == model.config.architectures[0]
    original, wavs = transformers_original(model.eval()), waveforms()
    assert error_alone(encoder, original, wavs) <= TOLERANCE
    padded = encoder.config.conv_norm == "layer"
    assert error_in_a_batch(encoder, original, wavs, padded) <= TOLERANCE
    original, wavs = transformers_original(model.double()), [wav.double() for wav in wavs]
    assert error_alone(encoder.double(), original, wavs) <= 1e-12
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    assert extractor.do_normalize == encoder.config.normalize_waveform
    assert extractor.return_attention_mask and extractor.sampling_rate == 16000


@every_kind
def test_transformers_writes_the_same_tensors(tmp_path: Path, family: str, size: str) -> None:
    transformers = pytest.importorskip("transformers")
    export_huggingface(encoder_of(exportable(family, size)), tmp_path / "ours")
    model = transformers.AutoModel.from_pretrained(tmp_path / "ours")
    model.save_pretrained(tmp_path / "theirs")
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("ours", "theirs"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@every_kind
@every_front_end
def test_import_is_the_inverse(
    tmp_path: Path, family: str, size: str, channels: tuple[int, ...]
) -> None:
    for normalize in (False, True):
        config = replace(exportable(family, size, channels), normalize_waveform=normalize)
        encoder = encoder_of(config)
        export_huggingface(encoder, tmp_path)
        assert identical(import_huggingface(tmp_path), encoder)


def test_indices_of_channels_are_left_behind(tmp_path: Path) -> None:
    config = exportable("wavlm", "large")
    first = replace(config.conv_layers[0], kept=tuple(range(5, 32)))
    encoder = encoder_of(replace(config, conv_layers=(first, *config.conv_layers[1:])))
    export_huggingface(encoder, tmp_path)
    assert import_huggingface(tmp_path).config == config


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"layers": tiny_config().layers}, "fewer than 4 heads in layers 1, 2; fewer than 12 FFN"),
        (
            {"layers": tuple(TransformerLayerConfig((0, 1, 2, 3), ffn) for ffn in (9, 0, 9, 7))},
            "found fewer than 9 FFN units in layers 1, 3; keep it",
        ),
        (
            {"layers": (TransformerLayerConfig((0, 1, 2, 3), 0),) * 2},
            "found fewer than 1 FFN units in layers 0, 1; keep it",
        ),
        (
            {"layers": (TransformerLayerConfig((0, 1, 2, 3), 9, ranks=(0, 5, 0, 0)),) * 2},
            "found maps of two thin ones .ranks. in layers 0, 1; keep it",
        ),
        ({"head_dim": 8}, "4 heads of width 8 at width 16"),
        ({"channel_scale": True}, "channel_scale"),
        ({"final_norm": False}, "final_norm"),
    ],
)
def test_what_transformers_cannot_build_is_refused(
    tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    encoder = encoder_of(replace(exportable("hubert", "large"), **changes))
    with pytest.raises(ConfigError, match=reason) as refusal:
        export_huggingface(encoder, tmp_path / "folder")
    assert "transformers' HubertModel" in str(refusal.value)
    assert "save_pretrained" in str(refusal.value)
    assert not (tmp_path / "folder").exists()


def test_post_norm_models_need_no_final_norm(tmp_path: Path) -> None:
    config = exportable("hubert", "base")
    encoder = encoder_of(replace(config, final_norm=False))
    export_huggingface(encoder, tmp_path)
    assert identical(import_huggingface(tmp_path), encoder_of(config))


def test_config_is_written_last(tmp_path: Path) -> None:
    encoder = encoder_of(exportable("wavlm", "base"))
    (tmp_path / "preprocessor_config.json").mkdir()
    with pytest.raises(OSError, match="preprocessor_config.json"):
        export_huggingface(encoder, tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    assert not (tmp_path / "config.json").exists()
    (tmp_path / "preprocessor_config.json").rmdir()
    export_huggingface(encoder, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "wavlm"
