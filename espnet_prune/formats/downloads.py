"""Downloads: folders from Hugging Face, files from any address, each of them once."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.request import Request, urlopen

import torch

from espnet_prune.progress import counter
from espnet_prune.storage.files import atomic_file
from espnet_prune.storage.hub import explained, load_hub

_HUB_FILE = re.compile(r"https://huggingface\.co/([^/]+/[^/]+)/(?:resolve|blob)/([^/]+)/([^?]+)")


def download_folder(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """The files of ``name`` on Hugging Face that match ``patterns``; a cut download continues.

    Raises:
        CheckpointError: there is no such model, or no way to reach it.
    """
    purpose = f"{name} is no file or folder here, and a download from Hugging Face"
    hub = load_hub(purpose)
    with explained(purpose):
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=list(patterns)))


def download_file(url: str) -> Path:
    """The file at ``url``, from where s3prl keeps its downloads if it is installed.

    A file on Hugging Face comes through huggingface_hub, which continues a cut download.

    Raises:
        CheckpointError: there is no such file, or no way to reach it.
    """
    path, hub_file = _cached(url), _HUB_FILE.match(url)
    if path.is_file():
        return path
    purpose = f"{url}: the download"
    with explained(purpose):
        if hub_file and importlib.util.find_spec("huggingface_hub"):
            name, revision, file = hub_file.groups()
            return Path(load_hub(purpose).hf_hub_download(name, file, revision=revision))
        _download(url, path)
    return path


def _cached(url: str) -> Path:
    try:
        from s3prl.util.download import urls_to_filepaths
    except ImportError:
        name = f"{hashlib.sha256(url.encode()).hexdigest()}.{Path(url).name}"
        return Path(torch.hub.get_dir()) / "checkpoints" / name
    return Path(urls_to_filepaths(url, download=False))


def _download(url: str, path: Path) -> None:
    # s3prl 0.4.18 keeps the page of a 404 as the file, and neither it nor torch.hub notices that a
    # download is not whole.
    request = Request(url, headers={"User-Agent": "espnet_prune"})
    with urlopen(request, timeout=60) as response, atomic_file(path) as file:
        if response.headers.get_content_type() == "text/html":
            raise OSError("expected a file, found a web page, perhaps one to sign in")
        expected = int(response.headers.get("Content-Length", 0))
        with counter(path.name, expected or None, "B") as advance:
            while block := response.read(1 << 20):
                file.write(block)
                advance(len(block))
        if expected and file.tell() != expected:
            raise OSError(f"expected {expected} bytes, found {file.tell()}; try again")
