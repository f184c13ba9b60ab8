"""Peak memory of a process of its own."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.children import ending_with_us

_MIB = 2**20


def run_alone(what: str, module: str, arguments: Sequence[object]) -> Any:
    """Run ``python -m module`` in a new process, and read the JSON of its last line.

    Args:
        what: the name of it all, for errors.
        module: its name.
        arguments: of its command line.

    Raises:
        ChildProcessError: the process failed or was killed.
    """
    command = [sys.executable, "-W", "ignore", "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=ending_with_us())
    if done.returncode:
        raise ChildProcessError(
            f"{what}: expected its process to end well, found status {done.returncode} (-9: "
            f"killed, mostly for want of memory); it said: {done.stderr[-2000:]}"
        )
    return json.loads(done.stdout.splitlines()[-1])


def peak_mib(pid: int | str = "self") -> float | None:
    """The most resident memory that a process has had, in MiB; None where there is no such mark."""
    return _mib("VmHWM", pid)


def peak_meter(device: str, imports: Sequence[str]) -> PeakOfCuda | PeakOfProcess:
    """Measure from here on, beyond what importing ``imports`` takes."""
    # PyTorch itself imports the first one when a model is built without memory for its weights.
    for module in ("torch._dynamo", *imports):
        importlib.import_module(module)
    return PeakOfCuda() if device == "cuda" else PeakOfProcess()


class PeakOfCuda:
    """What PyTorch allocated on the GPU."""

    def restart(self) -> float | None:
        """The peak in MiB since the last time, or since the start of the process."""
        peak = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return peak / _MIB


class PeakOfProcess:
    """Linux's high-water mark, which ``getrusage`` gives as well, but with that of the parent."""

    def __init__(self) -> None:
        self.start = 0.0
        self.restart()
        self.start = _mib("VmRSS") or 0.0

    def restart(self) -> float | None:
        """As of :class:`PeakOfCuda`; None where there is no such mark."""
        peak = peak_mib()
        _give_back_freed()
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return None
        return None if peak is None else peak - self.start


def _give_back_freed() -> None:
    """Let glibc return what is free, or the next peak has in it what the last one left behind."""
    with contextlib.suppress(OSError, AttributeError):  # another libc keeps nothing to speak of
        ctypes.CDLL(None).malloc_trim(0)


def _mib(name: str, pid: int | str = "self") -> float | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    kib = next((line.split()[1] for line in lines if line.startswith(f"{name}:")), None)
    return None if kib is None else int(kib) / 1024
