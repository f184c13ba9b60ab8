"""Models elsewhere: folders of Hugging Face, to and from there, and files at any address."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import re
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from types import ModuleType
from urllib.request import Request, urlopen

import torch

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.progress import counter
from espnet_prune.storage.files import atomic_file

_HUB_FILE = re.compile(r"https://huggingface\.co/([^/]+/[^/]+)/(?:resolve|blob)/([^/]+)/([^?]+)")
_LONGEST = 300  # characters of what a library says
_SIGN_IN = "accept its terms on its page if it has any, and sign in with hf auth login or HF_TOKEN"
_CHECK_NAME = "check its name and revision"
_CHECK_NETWORK = "check the address and the network, or copy the files here and pass their path"
# By the status of HTTP, or the name of an error of huggingface_hub.
_ADVICE = {
    401: _SIGN_IN,
    403: _SIGN_IN,
    404: _CHECK_NAME,
    "GatedRepoError": _SIGN_IN,
    "RepositoryNotFoundError": f"{_CHECK_NAME}; if it is private, sign in with hf auth login",
    "RevisionNotFoundError": _CHECK_NAME,
    "RemoteEntryNotFoundError": _CHECK_NAME,
    "HFValidationError": _CHECK_NAME,
}


def push_folder(
    folder: str | PathLike[str],
    repo_id: str,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
) -> str:
    """Upload every file of a model's folder to Hugging Face, and return the address of the model.

    The repository ``repo_id`` (``owner/name``), then perhaps ``private``, and the branch
    ``revision`` (by default the main one) are made if there are none. ``token`` is by default that
    of ``hf auth login`` or ``HF_TOKEN``.

    Raises:
        CheckpointError: huggingface_hub is not installed, the hub refuses, or it cannot be reached.
    """
    with _hub(f"pushing to {repo_id}") as hub:
        api = hub.HfApi(token=token)
        url = api.create_repo(repo_id, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        api.upload_folder(repo_id=repo_id, folder_path=folder, revision=revision)
        return str(url)


def download_folder(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """The files of ``name`` on Hugging Face that match ``patterns``; a cut download continues.

    Raises:
        CheckpointError: there is no such model, or no way to reach it.
    """
    with _hub(f"{name} is no file or folder here, and a download from Hugging Face") as hub:
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=list(patterns)))


def download_file(url: str) -> Path:
    """The file at ``url``, from where s3prl keeps its downloads if it is installed.

    A file on Hugging Face comes through huggingface_hub, which continues a cut download.

    Raises:
        CheckpointError: there is no such file, or no way to reach it.
    """
    path, hub_file, purpose = _cached(url), _HUB_FILE.match(url), f"{url}: the download"
    if path.is_file():
        return path
    if hub_file and importlib.util.find_spec("huggingface_hub"):
        name, revision, file = hub_file.groups()
        with _hub(purpose) as hub:
            return Path(hub.hf_hub_download(name, file, revision=revision))
    with _explained(purpose):
        _download(url, path)
    return path


@contextlib.contextmanager
def _hub(purpose: str) -> Iterator[ModuleType]:
    """``huggingface_hub``, which this package does without otherwise; see :func:`_explained`."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise CheckpointError(
            f"{purpose} needs huggingface_hub: pip install huggingface_hub"
        ) from error
    with _explained(purpose):
        yield huggingface_hub


@contextlib.contextmanager
def _explained(purpose: str) -> Iterator[None]:
    """Turn what fails on the way to a server into one line of CheckpointError, with advice."""
    try:
        yield
    except Exception as error:  # Each HTTP library has errors of its own.
        reason = " ".join(str(error).split())
        names = [getattr(error, "code", None), *(base.__name__ for base in type(error).__mro__)]
        advice = next((_ADVICE[name] for name in names if name in _ADVICE), _CHECK_NETWORK)
        raise CheckpointError(
            f"{purpose} failed: {type(error).__name__}: {reason[:_LONGEST]}; {advice}"
        ) from error


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
