"""Progress: a bar on a terminal, even when a recipe writes standard error to a log; else lines."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TextIO, TypeVar

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
    """A function that is told how many more are done, and shows it.

    A bar goes to the terminal that ``PROGRESS_FILE`` names, which the recipes set to their own,
    or else to standard error. Where that is none, there are plain lines, ever fewer of them, and
    none of what takes seconds.

    Args:
        description: of what is done.
        total: how many there will be, where that is known.
        unit: what they are; ``B`` are bytes.
    """
    try:
        from tqdm import tqdm
    except ImportError:  # the core needs torch alone
        yield lambda _: None
        return
    scale = {"unit": unit, "unit_scale": unit == "B", "unit_divisor": 1024 if unit == "B" else 1000}
    with progress_stream() as stream:
        if stream.isatty():
            with tqdm(
                None, description, total, file=stream, mininterval=0.5, leave=False,
                dynamic_ncols=True, **scale,
            ) as bar:  # fmt: skip
                yield bar.update
        else:
            yield _Lines(stream, {"prefix": description, "total": total, **scale}).advance


class _Lines:
    """Writes how far something has come, a line at a time."""

    def __init__(self, stream: TextIO, form: dict[str, object]):
        self._stream, self._form = stream, form
        self._done, self._since = 0, time.monotonic()
        self._wait, self._next = _FIRST, self._since + _FIRST

    def advance(self, number: int) -> None:
        """So many more are done."""
        self._done += number
        if (now := time.monotonic()) < self._next:
            return
        self._wait = min(2 * self._wait, _LONGEST)
        self._next = now + self._wait
        from tqdm import tqdm

        elapsed = now - self._since
        line = tqdm.format_meter(self._done, elapsed=elapsed, bar_format=_LINE, **self._form)
        print(line, file=self._stream, flush=True)


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
