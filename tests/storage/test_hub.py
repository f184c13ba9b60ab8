"""What is pushed to Hugging Face loads again, by the name it has there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import create_autospec

import pytest

from espnet_prune.encoder import SSLEncoder
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.hub import push_folder
from espnet_prune.storage.model_card import model_card
from tests.encoders import random_encoder, tiny_config
from tests.formats.parity import identical


class Hub(ModuleType):
    """Stands in for huggingface_hub, with repositories that are folders."""

    def __init__(self, folder: Path):
        super().__init__("huggingface_hub")
        self.folder = folder
        self.calls: list[tuple[str, dict[str, object]]] = []

    def HfApi(self, token: str | None) -> Hub:
        self.calls.append(("HfApi", {"token": token}))
        return self

    def create_repo(self, repo_id: str, **options: object) -> str:
        self.calls.append(("create_repo", {"repo_id": repo_id, **options}))
        return f"https://huggingface.co/{repo_id}"

    def create_branch(self, repo_id: str, **options: object) -> None:
        self.calls.append(("create_branch", {"repo_id": repo_id, **options}))

    def upload_folder(self, repo_id: str, folder_path: str, revision: str | None) -> None:
        self.calls.append(("upload_folder", {"repo_id": repo_id, "revision": revision}))
        shutil.copytree(folder_path, self.folder / repo_id)

    def snapshot_download(self, repo_id: str, **_: object) -> str:
        return str(self.folder / repo_id)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub(tmp_path / "hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


def test_a_pushed_encoder_loads_again(hub: Hub) -> None:
    encoder = random_encoder(tiny_config())
    assert encoder.push_to_hub("owner/name") == "https://huggingface.co/owner/name"
    assert identical(SSLEncoder.from_pretrained("owner/name"), encoder)
    num_params = sum(parameter.numel() for parameter in encoder.parameters())
    card = (hub.folder / "owner/name/README.md").read_text()
    assert card == model_card(encoder.config, num_params, "owner/name")
    assert hub.calls == [
        ("HfApi", {"token": None}),
        ("create_repo", {"repo_id": "owner/name", "private": False, "exist_ok": True}),
        ("upload_folder", {"repo_id": "owner/name", "revision": None}),
    ]


def test_every_option_arrives(hub: Hub) -> None:
    random_encoder(tiny_config()).push_to_hub("o/n", private=True, revision="v1", token="secret")
    assert hub.calls == [
        ("HfApi", {"token": "secret"}),
        ("create_repo", {"repo_id": "o/n", "private": True, "exist_ok": True}),
        ("create_branch", {"repo_id": "o/n", "branch": "v1", "exist_ok": True}),
        ("upload_folder", {"repo_id": "o/n", "revision": "v1"}),
    ]


def test_a_folder_is_pushed_whole(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "model" / "plda").mkdir(parents=True)
    (tmp_path / "model" / "plda" / "plda.npz").write_text("numbers")
    assert push_folder(tmp_path / "model", "o/n") == "https://huggingface.co/o/n"
    assert (hub.folder / "o/n/plda/plda.npz").read_text() == "numbers"


def test_calls_are_the_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    api = create_autospec(pytest.importorskip("huggingface_hub").HfApi)
    monkeypatch.setattr("huggingface_hub.HfApi", api)
    random_encoder(tiny_config()).push_to_hub("o/n", revision="v1")
    for method in ("create_repo", "create_branch", "upload_folder"):
        getattr(api.return_value, method).assert_called_once()


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match="pushing to o/n needs huggingface_hub: pip install"):
        random_encoder(tiny_config()).push_to_hub("o/n")
