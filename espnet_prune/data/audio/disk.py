"""Temporary files on the disk, for audio of no known length, or that cannot be read in order."""

from __future__ import annotations

import shutil
import tempfile
from typing import BinaryIO


def temporary_file() -> BinaryIO:
    """An empty file in the folder that ``TMPDIR`` names, which is gone when it is closed."""
    return tempfile.TemporaryFile()


def on_disk(stream: BinaryIO) -> BinaryIO:
    """A temporary file with all that a stream gives."""
    copy = temporary_file()
    shutil.copyfileobj(stream, copy)
    return copy


def seekable(file: BinaryIO) -> BinaryIO:
    """The file itself at its beginning, or a temporary copy of one that cannot seek."""
    try:
        file.seek(0)
    except (OSError, AttributeError):
        return on_disk(file)
    return file
