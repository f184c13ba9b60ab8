"""Tensors by name in one safetensors file, written atomically and read without pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping

from safetensors.torch import load_file as read
from safetensors.torch import save
from torch import Tensor

from espnet_prune.encoder.checks import CheckpointError, require_finite
from espnet_prune.storage.files import atomic_write
from espnet_prune.storage.sniffing import SAFETENSORS, require_kind


def save_file(tensors: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Write ``tensors`` to ``path``; a killed write leaves the former file as it was.

    Raises:
        CheckpointError: a tensor is not finite.
        OSError: see :func:`~espnet_prune.storage.files.atomic_file`.
    """
    require_finite(tensors, path)
    # Clones: the format has no views, nor two names for the same values.
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    atomic_write(path, save(whole, {"format": "pt"}))


def load_file(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read every tensor of ``path`` to the CPU.

    Raises:
        CheckpointError: the file is missing, truncated or of another format.
    """
    require_kind(path, SAFETENSORS)
    try:
        return read(path)
    except Exception as error:  # the package's own, and whatever PyTorch says of a lying header
        finding = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{path}: expected a safetensors file, found one that is truncated or damaged "
            f"({finding}); copy or make it again"
        ) from error
