"""Tensors by name in one safetensors file, written atomically and read without pickle.

A float tensor ``x`` with many exact zeros may lie there packed: ``x#values`` ``(n,)``, ``x#kept``
(a bit per place in bytes, row by row, the first one the lowest) and ``x#shape``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

import torch
from safetensors.torch import load_file as read
from safetensors.torch import save
from torch import Tensor

from espnet_prune.encoder.checks import CheckpointError, require_finite
from espnet_prune.storage.files import atomic_write
from espnet_prune.storage.sniffing import SAFETENSORS, require_kind

_VALUES, _KEPT, _SHAPE = "#values", "#kept", "#shape"


def save_file(tensors: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Write ``tensors`` to ``path``; a killed write leaves the former file as it was.

    Raises:
        CheckpointError: a tensor is not finite.
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


def pack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``state`` with every float tensor packed that becomes smaller by it."""
    packed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        kept = tensor != 0
        saved = int((~kept).sum()) * tensor.element_size()
        if not tensor.is_floating_point() or saved <= tensor.numel() / 8 + 8 * tensor.dim():
            packed[name] = tensor
            continue
        packed[name + _VALUES] = tensor[kept]
        packed[name + _KEPT] = _to_bytes(kept.flatten())
        packed[name + _SHAPE] = torch.tensor(tensor.shape)
    return packed


def unpack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What :func:`pack` was given; tensors that are not packed stay as they are.

    Raises:
        CheckpointError: the pieces of a tensor do not belong together.
    """
    whole: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name.endswith(_VALUES):
            stem = name.removesuffix(_VALUES)
            whole[stem] = _restored(stem, tensor, state)
        elif not name.endswith((_KEPT, _SHAPE)):
            whole[name] = tensor
    return whole


def _restored(name: str, values: Tensor, state: Mapping[str, Tensor]) -> Tensor:
    try:
        shape = state[name + _SHAPE].tolist()
        kept = _from_bytes(state[name + _KEPT], math.prod(shape))
        if int(kept.sum()) != len(values):
            raise RuntimeError(f"{len(values)} values, {int(kept.sum())} places")
        return values.new_zeros(math.prod(shape)).masked_scatter(kept, values).view(shape)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"expected the values, bits and shape of the packed weight {name!r}, found pieces "
            f"that do not fit ({error}); copy or make the file again"
        ) from error


def _to_bytes(bits: Tensor) -> Tensor:
    padded = torch.nn.functional.pad(bits.to(torch.uint8), (0, -len(bits) % 8))
    return (padded.view(-1, 8) << torch.arange(8, dtype=torch.uint8)).sum(1, dtype=torch.uint8)


def _from_bytes(octets: Tensor, size: int) -> Tensor:
    bits = (octets[:, None] >> torch.arange(8, dtype=torch.uint8)) & 1
    return bits.flatten()[:size].bool()
