"""Processes that a benchmark starts end with it, whatever ends it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
# Before any fork: a child of a process with threads may not look up libraries.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def ending_with_us() -> Callable[[], None] | None:
    """For ``preexec_fn`` of :mod:`subprocess`: the child is killed once this thread has ended.

    Linux's kernel does it, so that it holds for a parent that is killed as well; elsewhere None,
    which is no function to call.
    """
    if _prctl is None:
        return None
    parent = os.getpid()

    def follow() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the kernel knew
            os._exit(1)

    return follow
