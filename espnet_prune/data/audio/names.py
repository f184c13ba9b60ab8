"""What recordings are called: names that a field of RTTM can hold."""

from __future__ import annotations

import os
from pathlib import Path


def recording_name(path: str | Path) -> str:
    """The name of a file's recording: that of the file, without its blanks and its suffix."""
    return without_blanks(Path(path).stem)


def without_blanks(path: str | Path) -> str:
    """A path as RTTM files can hold it: ``_`` for blanks, ``\\xff`` for bytes that are no UTF-8."""
    return "_".join(os.fsencode(path).decode("utf-8", "backslashreplace").split())
