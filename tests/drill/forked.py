"""Calls in a forked child with limits: as a command of its own, without the seconds of imports."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

MEMORY = 6 << 30  # bytes of address space beside what this process has


class Outcome(NamedTuple):
    """What a call came to: its exit status, or minus the signal that ended it, and its output."""

    status: int
    said: str
    seconds: float

    @property
    def fault(self) -> str:
        """Why a command must not end like this, or "": 0 and 2 are the ends that there are."""
        if "Traceback (most recent" in self.said:
            return "traceback"
        if self.status == -signal.SIGALRM:
            return "over its time"
        if self.status not in (0, 2):
            return f"status {self.status}"
        return "" if self.status == 0 or self.said.strip() else "status 2 without a word"


def forked(function: Callable[..., Any], *arguments: Any, folder: Path, limit: int = 60) -> Outcome:
    """Call ``function`` in ``folder`` for at most ``limit`` seconds."""
    start = time.monotonic()
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if not child:
            _call(function, arguments, folder, limit, output.fileno())
        _, wait = os.waitpid(child, 0)
        output.seek(0)
        said = output.read().decode(errors="replace")
    return Outcome(os.waitstatus_to_exitcode(wait), said, time.monotonic() - start)


def _call(function, arguments, folder: Path, limit: int, output: int) -> None:
    status = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", errors="backslashreplace", closefd=False)  # as Python's own
        os.chdir(folder)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(limit)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        room = MEMORY + pages * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        function(*arguments)
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
