"""Find out what a source is, and hand it to the importer of its kind."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

from espnet_prune.ssl.checkpoint import load_encoder
from espnet_prune.ssl.importers.huggingface import CONFIG, FILES, import_huggingface, read_json
from espnet_prune.ssl.importers.microsoft import import_microsoft
from espnet_prune.ssl.model import SSLEncoder
from espnet_prune.ssl.safetensors import CheckpointError


def import_encoder(source: str | PathLike[str]) -> SSLEncoder:
    """Load an encoder, strictly and in eval mode.

    Args:
        source: Microsoft's ``.pt`` file, a folder that transformers' ``WavLMModel`` or our own
            ``save_pretrained`` wrote, or the Hugging Face id of such a folder.

    Raises:
        CheckpointError: the source is missing, damaged, unsafe or of a kind not known here.
    """
    path = Path(source)
    if path.is_file():
        return import_microsoft(path)
    folder = path if path.is_dir() else _download(str(source))
    ours = "kind" in read_json(folder / CONFIG)
    return load_encoder(folder) if ours else import_huggingface(folder)


def _download(name: str) -> Path:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise CheckpointError(
            f"{name}: expected a file, a folder or a Hugging Face id (owner/model), found no such "
            "file or folder; check the path"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise CheckpointError(
            f"{name}: no such file or folder here, and a download from Hugging Face needs "
            "huggingface_hub: pip install huggingface_hub"
        ) from error
    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES)))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{name}: no such file or folder here, and no download from Hugging Face: {error}"
        ) from error
