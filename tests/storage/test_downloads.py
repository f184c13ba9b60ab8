"""Files are downloaded once, whole or not at all, and s3prl's downloads are used."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
import torch

from espnet_prune.storage import CheckpointError
from espnet_prune.storage import hub as downloads
from espnet_prune.storage.hub import download_file, download_folder

CONTENTS = b"weights" * 1000


class Server(ThreadingHTTPServer):
    """Serves ``/whole/...`` and ``/short/...``, the latter cut off; counts the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.requests += 1
        found = self.path.startswith(("/whole/", "/short/"))
        body = CONTENTS if found else b"<html>no such file</html>"
        statuses = {"page": 200, "closed": 401, "gated": 403}
        self.send_response(200 if found else statuses.get(self.path.split("/")[1], 404))
        if not found:
            self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:-1] if self.path.startswith("/short/") else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(params=["with s3prl", "alone"])
def cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that downloads go to."""
    if request.param == "with s3prl":
        download = pytest.importorskip("s3prl.util.download")
        monkeypatch.setattr(download, "_download_dir", tmp_path)
        return tmp_path
    monkeypatch.setitem(sys.modules, "s3prl.util.download", None)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    return tmp_path / "checkpoints"


def hub(monkeypatch: pytest.MonkeyPatch, **functions: object) -> None:
    """Install a huggingface_hub that has these functions alone."""
    module = ModuleType("huggingface_hub")
    module.__spec__ = ModuleSpec("huggingface_hub", None)
    vars(module).update(functions)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)


def test_a_file_is_downloaded_once(server: Server, cache: Path) -> None:
    paths = {download_file(server.url(f"whole/{i}/model.pt")) for i in (1, 2, 1, 2, 2)}
    assert server.requests == len(paths) == 2
    assert paths == set(cache.iterdir())
    assert all(path.read_bytes() == CONTENTS for path in paths)
    assert all(path.name.endswith(".model.pt") for path in paths)


def test_downloads_of_s3prl_are_used(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = pytest.importorskip("s3prl.util.download")
    monkeypatch.setattr(download, "_download_dir", tmp_path)
    hub(monkeypatch)
    theirs = {}
    for url in ("https://huggingface.co/a/b/resolve/main/c.pt", server.url("whole/c.pt")):
        theirs[url] = Path(download.urls_to_filepaths(url, download=False))
        theirs[url].write_bytes(b"theirs")
    assert {url: download_file(url) for url in theirs} == theirs
    ours = download_file(server.url("whole/d.pt"))
    assert download.urls_to_filepaths(server.url("whole/d.pt")) == str(ours)
    assert server.requests == 1


@pytest.mark.parametrize(
    "path, reason",
    [
        ("short/model.pt", f"OSError: expected {len(CONTENTS)} bytes, found {len(CONTENTS) - 1}"),
        ("missing/model.pt", "HTTPError: HTTP Error 404: Not Found; check its name"),
        ("closed/model.pt", "HTTPError: HTTP Error 401: Unauthorized; accept its terms .* sign in"),
        ("gated/model.pt", "HTTPError: HTTP Error 403: Forbidden; accept its terms .* sign in"),
        ("page/model.pt", "OSError: expected a file, found a web page"),
    ],
)
def test_what_is_not_the_file_is_not_kept(
    server: Server, cache: Path, path: str, reason: str
) -> None:
    for _ in range(2):
        with pytest.raises(CheckpointError, match=f"{path}: the download failed: {reason}"):
            download_file(server.url(path))
    assert server.requests == 2
    assert not cache.exists() or not list(cache.iterdir())


def test_no_connection(cache: Path) -> None:
    server = Server()
    server.server_close()
    with pytest.raises(CheckpointError, match=r"the download failed: URLError: .*refused"):
        download_file(server.url("whole/model.pt"))
    with pytest.raises(CheckpointError, match="the download failed: "):
        download_file("https:///model.pt")


HUB_FILE = "https://huggingface.co/s3prl/converted_ckpts/resolve/main/a/hubert.pt"


@pytest.mark.parametrize(
    "url", [HUB_FILE, f"{HUB_FILE}?download=true", HUB_FILE.replace("resolve", "blob")]
)
def test_files_on_the_hub_come_through_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    def hf_hub_download(repo: str, file: str, revision: str) -> str:
        return f"{repo} {file} {revision}"

    hub(monkeypatch, hf_hub_download=hf_hub_download)
    assert download_file(url) == Path("s3prl/converted_ckpts a/hubert.pt main")


@pytest.mark.parametrize(
    "url",
    [HUB_FILE, HUB_FILE.replace("huggingface.co/", "huggingface.co/datasets/"), "http://a.b/c.pt"],
)
def test_other_files_do_without_it(cache: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    if url == HUB_FILE:
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    else:
        hub(monkeypatch)
    asked = []
    monkeypatch.setattr(downloads, "_download", lambda *given: asked.append(given))
    assert download_file(url) == asked[0][1]
    assert asked[0][0] == url and asked[0][1].parent == cache


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        if revision is None:
            raise RuntimeError("of any\n\nkind")
        return f"{name} {revision} {allow_patterns}"

    hub(monkeypatch, snapshot_download=snapshot_download)
    assert download_folder("a/b", "v1", ("x", "y*")) == Path("a/b v1 ['x', 'y*']")
    with pytest.raises(
        CheckpointError, match="a/b is no file .* failed: RuntimeError: of any kind; check"
    ):
        download_folder("a/b", None, ("x",))


@pytest.mark.parametrize(
    "name, advice",
    [
        ("GatedRepoError", "accept its terms on its page"),
        ("RepositoryNotFoundError", "check its name and revision; if it is private, sign in"),
        ("RevisionNotFoundError", "check its name and revision$"),
        ("LocalEntryNotFoundError", "check the address and the network"),
        ("OfflineModeIsEnabled", "check the address and the network"),
    ],
)
def test_errors_of_the_hub_are_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, advice: str
) -> None:
    errors = pytest.importorskip("huggingface_hub.errors")

    def snapshot_download(*_: object, **__: object) -> str:
        error = getattr(errors, name)
        raise error.__new__(error, "401 Client Error.\n\n" + "Please log in. " * 100)

    hub(monkeypatch, snapshot_download=snapshot_download)
    with pytest.raises(CheckpointError, match=advice) as refusal:
        download_folder("a/b", None, ("x",))
    assert len(str(refusal.value)) < 700 and "\n" not in str(refusal.value)
