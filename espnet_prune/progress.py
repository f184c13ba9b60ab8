"""Progress bars that reach the terminal even when a recipe writes standard error to a log."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import TextIO, TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
    """Iterate ``items`` under a tqdm bar.

    The bar goes to the file that ``PROGRESS_FILE`` names, which the recipes set to their own
    terminal, else to standard error. Away from a terminal it is refreshed every ten seconds.
    """
    from tqdm import tqdm

    file = progress_file()
    interval = 0.5 if file.isatty() else 10.0
    return tqdm(
        items, description, total, file=file, mininterval=interval, leave=False, dynamic_ncols=True
    )


def progress_file() -> TextIO:
    path = os.environ.get("PROGRESS_FILE")
    if path:
        # Gone when a job runs on another machine, or when the terminal was closed.
        with contextlib.suppress(OSError):
            return open(path, "a")
    return sys.stderr
