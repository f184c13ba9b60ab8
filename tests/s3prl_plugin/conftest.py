"""Encoders with the published front ends' strides and few channels, in folders."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from espnet_prune.encoder import PRESETS, ConvLayerConfig, SSLEncoder
from tests.encoders import random_encoder, tiny_config

if importlib.util.find_spec("s3prl"):
    import s3prl_plugin

    s3prl_plugin.register()  # where the hook is not installed


def _encoder(size: str) -> SSLEncoder:
    if size == "whisper":
        return random_encoder(tiny_config("whisper", "own"))
    published = PRESETS["wavlm_base_plus"]().conv_layers
    conv_layers = tuple(
        ConvLayerConfig(5 + index % 2, layer.kernel, layer.stride)
        for index, layer in enumerate(published)
    )
    return random_encoder(tiny_config("wavlm", size, conv_layers=conv_layers))


@pytest.fixture(scope="session", params=["base", "large", "whisper"])
def encoder(request: pytest.FixtureRequest) -> SSLEncoder:
    """Group norm and plain waveforms (base), or layer norm and normalised ones (large); Whisper."""
    return _encoder(request.param)


@pytest.fixture(scope="session")
def folder(encoder: SSLEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ``encoder`` is saved."""
    folder = tmp_path_factory.mktemp("encoder")
    encoder.save_pretrained(folder)
    return folder


@pytest.fixture
def large_folder(tmp_path: Path) -> Path:
    """A folder for tests that look at no value."""
    folder = tmp_path / "pruned"
    _encoder("large").save_pretrained(folder)
    return folder
