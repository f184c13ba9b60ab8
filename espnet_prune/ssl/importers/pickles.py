"""Read PyTorch files as data only: a pickle that would run code is refused."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espnet_prune.ssl.safetensors import CheckpointError


def load_pickle(path: Path) -> Any:
    """Read tensors and plain values from ``path`` to the CPU.

    Raises:
        CheckpointError: the file needs more than that, or it is damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch adds advice on how to run the file nevertheless; the finding is one line of it.
        finding = str(error).rpartition("WeightsUnpickler error: ")[2].split("\n")[0].strip()
        raise CheckpointError(
            f"{path}: expected a PyTorch file of tensors and plain values, found one that is "
            f"damaged or needs more ({finding}); such a file can run any program while it is read, "
            "so it is not read: get it as safetensors, or with its config and weights alone"
        ) from error
    except Exception as error:  # Damaged pickles raise almost anything.
        finding = next(iter(str(error).splitlines()), "")
        raise CheckpointError(
            f"{path}: expected a PyTorch file, found one that cannot be read "
            f"({type(error).__name__}: {finding}); it may be truncated: copy or download it again"
        ) from error


def check_state(state: object, path: Path) -> Mapping[str, Tensor]:
    """Return ``state`` if it is a mapping from names to tensors.

    Raises:
        CheckpointError: it is something else.
    """
    if isinstance(state, Mapping) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        return state
    raise CheckpointError(f"{path}: expected tensors by name, found {type(state).__name__}")
