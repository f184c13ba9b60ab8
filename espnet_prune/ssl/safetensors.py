"""Read and write the safetensors format with torch alone, atomically and without pickle.

The format (https://github.com/huggingface/safetensors#format): eight bytes of little-endian header
length, a JSON header of dtype, shape and offsets, then the raw tensors.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from espnet_prune.ssl.files import atomic_write
from espnet_prune.ssl.sniffing import SAFETENSORS, CheckpointError, require_kind
from espnet_prune.ssl.typed import shown

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_MOST = 1 << 60  # numbers of values that PyTorch can count, in bytes as well


def save_file(tensors: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Write ``tensors`` to ``path``; a killed write leaves the former file as it was.

    Raises:
        CheckpointError: a tensor is not finite.
        OSError: see :func:`~espnet_prune.ssl.files.atomic_file`.
    """
    require_finite(tensors, path)
    if sys.byteorder != "little":
        raise NotImplementedError("safetensors files are little-endian, this machine is not")
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    blobs, offset = [], 0
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        size = tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + size],
        }
        blobs.append(ctypes.string_at(tensor.data_ptr(), size) if size else b"")
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    atomic_write(path, b"".join([len(text).to_bytes(8, "little"), text, *blobs]))


def require_finite(tensors: Mapping[str, Tensor], source: object) -> None:
    """Raise CheckpointError, which names it, if one of ``tensors`` holds NaN or infinity."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            continue
        # A sum is finite only if its terms are, and takes no memory.
        if not tensor.sum().isfinite() and not tensor.isfinite().all():
            raise CheckpointError(
                f"{source}: expected finite weights, found NaN or infinity in {name!r}; its "
                "training diverged or the file is damaged: take an earlier checkpoint"
            )


def load_file(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read every tensor of ``path`` to the CPU.

    Raises:
        CheckpointError: the file is missing, truncated or of another format.
    """
    require_kind(path, SAFETENSORS)
    with open(path, "rb") as file:
        entries, base = _read_header(file, path)
        return {name: _tensor(file, base, entry, path) for name, entry in entries.items()}


class _Entry(NamedTuple):
    dtype: torch.dtype
    shape: list[int]
    begin: int
    end: int


def _read_header(file: BinaryIO, path: object) -> tuple[dict[str, _Entry], int]:
    """The entry of every tensor, and where in the file their data begin.

    The data fill the rest of the file without gaps, so that no entry asks for more than is there.
    """
    found = os.fstat(file.fileno()).st_size
    base = 8 + int.from_bytes(file.read(8), "little")
    if base > found:
        raise CheckpointError(
            f"{path}: expected a header of {base - 8} bytes, found {found} bytes in all; the file "
            "is truncated or damaged, copy or make it again"
        )
    try:
        header = json.loads(file.read(base - 8))
        header.pop("__metadata__", None)
        entries = {name: _entry(name, values) for name, values in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: expected a safetensors file, found a header that describes no tensors "
            f"({error}); copy or make the file again"
        ) from error
    end = base
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if base + entry.begin != end:
            raise CheckpointError(
                f"{path}: expected the data of {name!r} behind those before it, found "
                f"data_offsets {[entry.begin, entry.end]}; copy or make the file again"
            )
        end = base + entry.end
    if found != end:
        raise CheckpointError(
            f"{path}: expected {end} bytes, found {found}; the file is truncated or damaged, "
            "copy or make it again"
        )
    return entries, base


def _entry(name: str, values: Mapping[str, Any]) -> _Entry:
    dtype, shape = _DTYPES.get(values["dtype"]), values["shape"]
    begin, end = values["data_offsets"]
    numbers = [*shape, begin, end]
    if (
        dtype is None
        or not all(type(number) is int and 0 <= number < _MOST for number in numbers)
        or math.prod(size or 1 for size in shape) >= _MOST
        or end - begin != math.prod(shape) * dtype.itemsize
    ):
        raise ValueError(f"the entry of {name!r} contradicts itself: {shown(values)}")
    return _Entry(dtype, shape, begin, end)


def _tensor(file: BinaryIO, base: int, entry: _Entry, path: object) -> Tensor:
    tensor = torch.empty(entry.shape, dtype=entry.dtype)
    if size := entry.end - entry.begin:
        file.seek(base + entry.begin)
        values = (ctypes.c_char * size).from_address(tensor.data_ptr())
        if file.readinto(values) != size:  # type: ignore[attr-defined]
            raise CheckpointError(f"{path}: the file became shorter while it was read; try again")
    return tensor
