"""Progress: a bar on a terminal, even when a recipe writes standard error to a log; else lines."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from functools import partial
from typing import Any, TextIO, TypeVar

T = TypeVar("T")

# Seconds to the first line, and between two of them at most: each time they double.
_FIRST, _LONGEST = 10.0, 600.0
_LINE = "{l_bar}{n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]"


def progress(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate ``items``, and tell how far it has come, see :func:`counter`."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with counter(description, total) as advance:
        for item in items:
            yield item
            advance(1)


@contextlib.contextmanager
def counter(
    description: str, total: int | None = None, unit: str = "it"
) -> Iterator[Callable[[int], object]]:
    """A function that is told how many more are done, of ``total``, and shows it.

    A bar goes to the terminal that ``PROGRESS_FILE`` names, which the recipes set to their own,
    or else to standard error. Where that is none, there are plain lines, ever fewer of them, and
    none of what takes seconds. Of the unit ``B``, bytes, 1024 are 1 k.
    """
    try:
        from tqdm import tqdm
    except ImportError:  # the core needs torch alone
        yield lambda _: None
        return
    form: dict[str, Any] = {"total": total, "unit": unit}
    if unit == "B":
        form |= {"unit_scale": True, "unit_divisor": 1024}
    with progress_stream() as stream:
        if stream.isatty():
            options = {"mininterval": 0.5, "leave": False, "dynamic_ncols": True}
            with tqdm(desc=description, file=stream, **options, **form) as bar:
                yield bar.update
        else:
            form |= {"prefix": description, "bar_format": _LINE}
            yield _lines(stream, partial(tqdm.format_meter, **form))


def _lines(stream: TextIO, meter: Callable[..., str]) -> Callable[[int], None]:
    """What writes how far something has come, a line at a time."""
    done, wait, start = 0, _FIRST, time.monotonic()
    due = start + wait

    def advance(number: int) -> None:
        nonlocal done, wait, due
        done += number
        if (now := time.monotonic()) < due:
            return
        wait = min(2 * wait, _LONGEST)
        due = now + wait
        print(meter(n=done, elapsed=now - start), file=stream, flush=True)

    return advance


@contextlib.contextmanager
def progress_stream() -> Iterator[TextIO]:
    """The terminal that ``PROGRESS_FILE`` names, or standard error."""
    with contextlib.ExitStack() as stack:
        stream = sys.stderr
        if path := os.environ.get("PROGRESS_FILE"):
            # Gone when a job runs on another machine, or when the terminal was closed.
            with contextlib.suppress(OSError):
                stream = stack.enter_context(open(path, "a", errors="backslashreplace"))
        yield stream
