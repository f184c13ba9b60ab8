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
from typing import BinaryIO

import torch
from torch import Tensor

from espnet_prune.ssl.files import atomic_write

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


class CheckpointError(ValueError):
    """A file or folder that is not the checkpoint it should be."""


def save_file(tensors: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Write ``tensors`` to ``path``; a killed write leaves the former file as it was."""
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


def load_file(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read every tensor of ``path`` to the CPU.

    Raises:
        CheckpointError: the file is missing, truncated or of another format.
    """
    try:
        with open(path, "rb") as file:
            entries, base = _read_header(file, path)
            return {name: _tensor(file, base, entries[name], path, name) for name in entries}
    except OSError as error:
        raise CheckpointError(
            f"{path}: expected a safetensors file, found none: {error}"
        ) from error


def _read_header(file: BinaryIO, path: object) -> tuple[dict[str, dict], int]:
    """The entry of every tensor, and where in the file their data begin."""
    try:
        base = 8 + int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(base - 8))
        header.pop("__metadata__", None)
        end = base + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise CheckpointError(
            f"{path}: expected a safetensors file, found something else (its header is unreadable: "
            f"{error}); if it is a PyTorch pickle, convert it first"
        ) from error
    if (found := os.fstat(file.fileno()).st_size) != end:
        raise CheckpointError(
            f"{path}: expected {end} bytes, found {found}; the file is truncated or damaged, "
            "copy or make it again"
        )
    return header, base


def _tensor(file: BinaryIO, base: int, entry: dict, path: object, name: str) -> Tensor:
    dtype, shape = _DTYPES.get(entry["dtype"]), entry["shape"]
    begin, end = entry["data_offsets"]
    if dtype is None or end - begin != math.prod(shape) * dtype.itemsize:
        raise CheckpointError(f"{path}: the entry of {name!r} contradicts itself: {entry}")
    tensor = torch.empty(shape, dtype=dtype)
    if begin < end:
        file.seek(base + begin)
        file.readinto((ctypes.c_char * (end - begin)).from_address(tensor.data_ptr()))  # type: ignore[attr-defined]
    return tensor
