"""Files that other libraries write, made whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from os import PathLike
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | PathLike[str]) -> Iterator[Path]:
    """A file to write in the ``with`` block, which becomes ``path`` at its end.

    What is written beside it, such as weights that do not fit into an ONNX file, moves along.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder) / path.name
        yield temporary
        for file in sorted(Path(folder).iterdir(), key=temporary.__eq__):  # itself the last
            os.replace(file, path.with_name(file.name))
