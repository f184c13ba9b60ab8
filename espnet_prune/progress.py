"""Progress bars that reach the terminal even when a recipe writes standard error to a log."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
    """Iterate ``items`` under a tqdm bar.

    The bar goes to the file descriptor in ``PROGRESS_FD``, which the recipes open on the terminal,
    else to standard error. Away from a terminal it is refreshed every ten seconds.
    """
    from tqdm import tqdm

    number = os.environ.get("PROGRESS_FD")
    file = os.fdopen(os.dup(int(number)), "w") if number else sys.stderr
    interval = 0.5 if file.isatty() else 10.0
    return tqdm(
        items, description, total, file=file, mininterval=interval, leave=False, dynamic_ncols=True
    )
