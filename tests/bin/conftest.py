"""The command that diarizes, on a model whose outputs the audio dictates."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet_prune.diarization.pipeline import Diarizer, InferenceConfig
from tests.diarization.scripted import scripted_model


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[InferenceConfig]:
    """Whatever model is asked for, the scripted one comes; the configurations so far."""
    asked: list[InferenceConfig] = []

    def from_pretrained(source, config, device):
        asked.append(config)
        return Diarizer(scripted_model(), config, device)

    monkeypatch.setattr(Diarizer, "from_pretrained", from_pretrained)
    return asked


@pytest.fixture
def command(tmp_path: Path, loaded) -> list[str]:
    """The start of a command line, up to the audio."""
    (tmp_path / "model").mkdir()
    (tmp_path / "decode.yaml").write_text("step: 0.5\n")
    options = ["--config", f"{tmp_path}/decode.yaml", "--output", f"{tmp_path}/out"]
    return [*options, "--device", "cpu", f"{tmp_path}/model"]
