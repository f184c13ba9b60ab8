"""Models on Hugging Face: reach the hub, and push a folder to it."""

from __future__ import annotations

from os import PathLike
from types import ModuleType

from espnet_prune.ssl.safetensors import CheckpointError


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
        CheckpointError: huggingface_hub is not installed.
        OSError: the hub refuses, or cannot be reached.
    """
    api = load_hub(f"pushing to {repo_id}").HfApi(token=token)
    url = api.create_repo(repo_id, private=private, exist_ok=True)
    if revision is not None:
        api.create_branch(repo_id, branch=revision, exist_ok=True)
    api.upload_folder(repo_id=repo_id, folder_path=folder, revision=revision)
    return str(url)
