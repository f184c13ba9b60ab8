"""Read PyTorch files as data only: a pickle that would run code is refused."""

from __future__ import annotations

import pickle
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espnet_prune.ssl.safetensors import CheckpointError


class Labels:
    """Stands in for fairseq's ``Dictionary``, which HuBERT's files hold beside the weights."""


# What fairseq's files need beyond tensors and plain values: two classes without behaviour. As
# pairs they are no entries that the rest of the process may have made, which thus stay.
_INERT: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (Namespace, "argparse.Namespace"),
    (Labels, "fairseq.data.dictionary.Dictionary"),
]


def load_pickle(path: Path) -> Any:
    """Read tensors, plain values and the configs of fairseq from ``path`` to the CPU.

    Raises:
        CheckpointError: the file needs more than that, or it is damaged.
    """
    try:
        with torch.serialization.safe_globals(_INERT):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch puts its finding into lines of advice on how to run the file nevertheless.
        finding = str(error.__context__ or error).partition(" Please use ")[0].strip(".")
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
