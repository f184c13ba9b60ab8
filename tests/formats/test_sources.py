"""Whatever a source is, the importer of its kind reads it; anything else is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from espnet_prune.encoder import PRESETS, Featurizer, SSLEncoder
from espnet_prune.formats import find_source, import_encoder, sources
from espnet_prune.formats.diarizen import import_diarizen
from espnet_prune.formats.dphubert import import_dphubert
from espnet_prune.formats.fairseq import import_fairseq
from espnet_prune.formats.huggingface import import_huggingface, import_huggingface_model
from espnet_prune.formats.torchaudio import import_torchaudio
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.embedded import EMBEDDED
from espnet_prune.storage.tensors import load_file, save_file
from tests.encoders import random_encoder, tiny_config
from tests.formats.diarizen_format import Release
from tests.formats.dphubert_format import dphubert_config, dphubert_state
from tests.formats.fairseq_models import s3prl_checkpoint, s3prl_model, small_config
from tests.formats.parity import identical
from tests.formats.transformers_models import small_model


def fairseq_checkpoint(name: str) -> dict[str, Any]:
    config = small_config(name)
    return s3prl_checkpoint(config, s3prl_model(config))


def old_fairseq_checkpoint() -> dict[str, Any]:
    parts = fairseq_checkpoint("wav2vec2_base")
    return {"args": {**parts["task_cfg"], **parts["model_cfg"]}, "model": parts["model_weight"]}


def dphubert_checkpoint() -> dict[str, Any]:
    config = dphubert_config("wavlm", "base")
    return {"config": config, "state_dict": dphubert_state(config)}


class Hub(ModuleType):
    """Stands in for huggingface_hub; its one model is ``owner/name``, whose files are given."""

    def __init__(self, files: Path):
        super().__init__("huggingface_hub")
        self.files = files
        self.asked: list[tuple[str | None, list[str]]] = []

    def snapshot_download(
        self, name: str, revision: str | None, allow_patterns: Sequence[str]
    ) -> str:
        if name != "owner/name":
            raise OSError("404 Client Error.\n\nRepository not found")
        self.asked.append((revision, list(allow_patterns)))
        return str(self.files)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    hub = Hub(tmp_path / "snapshot")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


@pytest.mark.parametrize(
    "checkpoint, importer",
    [
        (lambda: fairseq_checkpoint("wavlm_base"), import_fairseq),
        (lambda: fairseq_checkpoint("hubert_base"), import_fairseq),
        (old_fairseq_checkpoint, import_fairseq),
        (dphubert_checkpoint, import_dphubert),
    ],
    ids=["microsoft", "s3prl", "fairseq", "dphubert"],
)
def test_files_are_told_by_their_keys(
    tmp_path: Path,
    checkpoint: Callable[[], dict[str, Any]],
    importer: Callable[[Path, dict[str, Any]], SSLEncoder],
) -> None:
    contents, path = checkpoint(), tmp_path / "any.name"
    torch.save(contents, path)
    expected = importer(path, contents)
    assert identical(import_encoder(path), expected)
    assert identical(SSLEncoder.from_pretrained(path.as_uri()), expected)


def test_folder_and_model_of_transformers(tmp_path: Path) -> None:
    model = small_model("hubert")
    model.save_pretrained(tmp_path)
    assert identical(import_encoder(tmp_path), import_huggingface(tmp_path))
    assert identical(import_encoder(model), import_huggingface_model(model))


def test_release_of_diarizen(hub: Hub) -> None:
    expected = import_diarizen(Release(hub.files, "base").folder)
    for source in (hub.files, hub.files / "pytorch_model.bin", "owner/name"):
        assert identical(import_encoder(source), expected)


def test_model_of_torchaudio() -> None:
    models = pytest.importorskip("torchaudio.models")
    from tests.formats.test_torchaudio import small_model

    class Derived(models.Wav2Vec2Model):
        pass

    model = small_model("wav2vec2", "base")
    expected = import_torchaudio(model)
    assert identical(import_encoder(model), expected)
    model.__class__ = Derived
    assert identical(import_encoder(model), expected)


def test_bundles_of_torchaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "import_bundle", lambda name: name)
    assert import_encoder("torchaudio:HUBERT_BASE") == "HUBERT_BASE"


def test_our_own_folder(tmp_path: Path) -> None:
    encoder = random_encoder(tiny_config())
    encoder.save_pretrained(tmp_path)
    for source in (tmp_path, str(tmp_path), tmp_path.as_uri()):
        found = import_encoder(source)
        assert identical(found, encoder) and not found.training


def test_encoder_of_a_diarization_model(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("pyannote.core")
    from espnet_prune.diarization.head import DiarizationConfig, HeadConfig
    from espnet_prune.diarization.model import DiarizationModel

    encoder = random_encoder(tiny_config())
    head = HeadConfig(hidden=8, num_layers=1, ffn=8)
    DiarizationModel(Featurizer(encoder), DiarizationConfig(head)).save_pretrained(tmp_path)
    with caplog.at_level("INFO"):
        found = import_encoder(tmp_path)
    assert identical(found, encoder) and not found.training
    assert "leaving out featurizer.weights" in caplog.text and "which diarize" in caplog.text
    state = load_file(tmp_path / "model.safetensors")
    state.pop("featurizer.encoder.norm.bias")
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"missing: norm.bias"):
        import_encoder(tmp_path)


@pytest.mark.parametrize(
    "source, revision",
    [
        ("owner/name", None),
        ("owner/name@v1.0", "v1.0"),
        ("owner/name@refs/pr/1", "refs/pr/1"),
        ("https://huggingface.co/owner/name", None),
        ("https://huggingface.co/owner/name/", None),
    ],
)
def test_hugging_face_ids(hub: Hub, source: str, revision: str | None) -> None:
    encoder = random_encoder(tiny_config())
    encoder.save_pretrained(hub.files)
    assert identical(import_encoder(source), encoder)
    ((asked, patterns),) = hub.asked
    assert asked == revision
    assert {"config.json", "model.safetensors", "config.toml"} <= set(patterns)
    assert not {"pytorch_model.bin", "plda/*"} & set(patterns)


def test_pickles_come_from_the_hub_only_without_safetensors(hub: Hub) -> None:
    model = small_model("wavlm")
    model.save_pretrained(hub.files)
    state = load_file(hub.files / "model.safetensors")
    (hub.files / "model.safetensors").unlink()
    torch.save(state, hub.files / "pytorch_model.bin")
    assert identical(import_encoder("owner/name"), import_huggingface(hub.files))
    first, second = (set(patterns) for _, patterns in hub.asked)
    assert second - first == {"pytorch_model.bin"}


def test_more_files_of_a_folder(hub: Hub) -> None:
    assert find_source("owner/name", also=["plda/*"]) == hub.files
    assert all("plda/*" in patterns for _, patterns in hub.asked)


def test_a_local_folder_goes_before_one_elsewhere(hub: Hub) -> None:
    encoder = random_encoder(tiny_config())
    encoder.save_pretrained("owner/name")
    assert identical(import_encoder("owner/name"), encoder)
    assert not hub.asked


def test_no_such_id(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = "exp/model is no file or folder here, and a download from Hugging Face failed: "
    with pytest.raises(CheckpointError, match=expected) as refusal:
        import_encoder("exp/model")
    assert "OSError: 404 Client Error. Repository not found; check the" in str(refusal.value)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match="needs huggingface_hub: pip install huggingface_hub"):
        import_encoder("owner/name")


def test_urls_are_read_as_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(dphubert_checkpoint(), tmp_path / "downloaded")
    asked = []

    def download_file(url: str) -> Path:
        asked.append(url)
        return tmp_path / "downloaded"

    monkeypatch.setattr(sources, "download_file", download_file)
    urls = ["https://example.org/model.pt", "http://huggingface.co/o/n/resolve/main/a/model.pt"]
    for url in urls:
        assert identical(import_encoder(url), import_encoder(tmp_path / "downloaded"))
    assert asked == urls


@pytest.mark.parametrize(
    "source, message",
    [
        (
            "nowhere",
            "nowhere: expected whisper_tiny_en, diarizer, a folder, .* found no such file",
        ),
        ("a/b/c", "no such file or folder"),
        ("/nowhere/model", "no such file or folder"),
        ("../nowhere", "no such file or folder"),
        ("./nowhere", "no such file or folder"),
        ("file:///nowhere/model", "no such file or folder"),
        *(
            (name, "a preset, which is a shape without weights")
            for name in PRESETS
            if name not in EMBEDDED
        ),
    ],
)
def test_nothing_there(source: str, message: str, hub: Hub) -> None:
    with pytest.raises(CheckpointError, match=message):
        import_encoder(source)
    assert not hub.asked


@pytest.mark.parametrize(
    "contents, found",
    [
        ({"cfg": {}, "weights": {}}, "found cfg, weights;"),
        ({"encoder.norm.weight": torch.zeros(1)}, "found encoder.norm.weight; weights alone"),
        ({str(n): n for n in range(10)}, "found 0, 1, 2, 3, 4, 5, 6, 7 and 2 more;"),
        ({}, "found dict;"),
        ([1, 2], "found list;"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, contents: object, found: str) -> None:
    torch.save(contents, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=f"cfg and model, or .*, {found}"):
        import_encoder(tmp_path / "other.pt")


def test_weights_without_their_config_are_refused(tmp_path: Path) -> None:
    random_encoder(tiny_config()).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="pass the folder with config.json"):
        import_encoder(tmp_path / "model.safetensors")


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config.toml \(of DiariZen\), found no file;"):
        import_encoder(tmp_path)
    (tmp_path / "WavLM.pt").touch()
    with pytest.raises(CheckpointError, match=r"found WavLM.pt; pass that folder, or the file"):
        import_encoder(tmp_path)


@pytest.mark.parametrize("model", [nn.Linear(1, 1), SSLEncoder(tiny_config())])
def test_other_models_are_refused(model: nn.Module) -> None:
    with pytest.raises(CheckpointError, match=f"found {type(model).__name__}"):
        import_encoder(model)
