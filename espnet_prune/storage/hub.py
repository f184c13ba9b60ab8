"""Models on Hugging Face: reach the hub, and push a folder to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from os import PathLike
from types import ModuleType

from espnet_prune.encoder.checks import CheckpointError

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


def load_hub(purpose: str) -> ModuleType:
    """Import ``huggingface_hub``, which this package does without otherwise.

    Raises:
        CheckpointError: it is not installed, and ``purpose`` needs it.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise CheckpointError(
            f"{purpose} needs huggingface_hub: pip install huggingface_hub"
        ) from error
    return huggingface_hub


def push_folder(
    folder: str | PathLike[str],
    repo_id: str,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
) -> str:
    """Upload every file of a model's folder to Hugging Face, and return the address of the model.

    Args:
        folder: what ``save_pretrained`` wrote.
        repo_id: ``owner/name``; made if there is none.
        private: whether a repository made here can be seen by its owner only.
        revision: the branch to push to, made if there is none; the main branch by default.
        token: for writing; by default that of ``hf auth login`` or ``HF_TOKEN``.

    Raises:
        CheckpointError: huggingface_hub is not installed, the hub refuses, or it cannot be reached.
    """
    purpose = f"pushing to {repo_id}"
    api = load_hub(purpose).HfApi(token=token)
    with explained(purpose):
        url = api.create_repo(repo_id, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        api.upload_folder(repo_id=repo_id, folder_path=folder, revision=revision)
        return str(url)


@contextlib.contextmanager
def explained(purpose: str) -> Iterator[None]:
    """Turn what fails on the way to a server into one line that says what to do.

    Raises:
        CheckpointError: behind ``purpose``.
    """
    try:
        yield
    except Exception as error:  # Each HTTP library has errors of its own.
        reason = " ".join(str(error).split())
        names = [getattr(error, "code", None), *(base.__name__ for base in type(error).__mro__)]
        advice = next((_ADVICE[name] for name in names if name in _ADVICE), _CHECK_NETWORK)
        raise CheckpointError(
            f"{purpose} failed: {type(error).__name__}: {reason[:_LONGEST]}; {advice}"
        ) from error
