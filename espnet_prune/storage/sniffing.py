"""What a file is, by its first bytes: often it is not the weights that its name promises."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.typed import shown

SAFETENSORS, PYTORCH, ARRAYS = "a safetensors file", "a PyTorch file", "a NumPy archive"
"""The kinds of files that hold weights, as messages call them."""
_UNKNOWN = "something else"
_AGAIN = "copy or download it again"
_CONVERT = "convert it first (python -m espnet_prune.bin.convert)"
_MOST_ARRAYS = 1 << 30
_HEADER = 8  # bytes of a safetensors file before its JSON


def require_kind(path: str | os.PathLike[str], expected: str) -> None:
    """Refuse a file that is surely not of the kind ``expected``, before anything reads it.

    The CheckpointError says what the file is instead, and what to do.
    """
    kind, advice = _sniff(Path(path))
    if kind != expected:
        raise CheckpointError(f"{path}: expected {expected}, found {kind}; {advice}")


def is_unknown(path: Path) -> bool:
    """Whether a file is of no kind that is known here, as audio is."""
    return _sniff(path)[0] == _UNKNOWN


def _sniff(path: Path) -> tuple[str, str]:
    """The kind of a file, and what a user can do who expected another."""
    try:
        if path.is_dir():
            return "a folder", "pass the file in it"
        if path.exists() and not path.is_file():
            return "a pipe or a device", "copy it to a file first"
        with open(path, "rb") as file:
            start = file.read(512)
    except OSError as error:
        return f"none ({error.strerror})", "check the path"
    if not start:
        return "an empty file", _AGAIN
    if start.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer, which only names the weights", "get them: git lfs pull"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page", "sign in or accept the terms where it came from, and download it again"
    if start.startswith(b"PK"):
        return _sniff_zip(path)
    if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd")):
        return "a compressed archive", "unpack it and pass what is in it"
    if start[_HEADER:].lstrip()[:1] == b"{" and start[_HEADER - 1] == 0:
        return SAFETENSORS, "give it a name that ends in .safetensors"
    if start[:1] == b"\x80":
        return PYTORCH, _CONVERT
    if not any(byte < 9 or 13 < byte < 32 for byte in start):
        line = start.decode("utf-8", "replace").split("\n")[0]
        return f"a text that begins with {shown(line)}", "pass the file of the weights"
    return _UNKNOWN, f"it may be truncated or damaged: {_AGAIN}"


def _sniff_zip(path: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "a zip archive that is cut off or damaged", _AGAIN
    if any(name.split("/")[1:] == ["data.pkl"] for name in names):
        # PyTorch compresses nothing.
        if unpacked > path.stat().st_size:
            return "a zip archive of more bytes than it has", _AGAIN
        return PYTORCH, _CONVERT
    if any(name.endswith(".npy") for name in names):
        if unpacked > _MOST_ARRAYS:
            return f"a zip archive of {unpacked} bytes", _AGAIN
        return ARRAYS, "pass the file of the weights"
    return "a zip archive, such as a pack", "unpack it and pass the folder in it"
