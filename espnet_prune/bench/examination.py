"""Run a subject in a process of its own: its peak memory, its error, how long it takes."""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from espnet_prune.bench.implementations import IMPLEMENTATIONS, Subject, load

_MIB = 2**20


class Findings(NamedTuple):
    """What a call told.

    Attributes:
        seconds: that it took.
        peak_mib: peak memory of loading and of calls so far, beyond that of the imports: resident
            memory on a CPU, else what PyTorch allocated; None where the system does not tell.
        error: the largest over layers, relative in norm.
    """

    seconds: float
    peak_mib: float | None
    error: float


def examine(
    subject: Subject, folder: Path, examples: Sequence[Path], device: str, threads: int
) -> list[Findings]:
    """Load ``subject`` from ``folder`` in a new process, and call it on each example.

    Args:
        subject: see :func:`~espnet_prune.bench.implementations.load`.
        folder: its files.
        examples: files of ``wavs`` ``(B, T)`` and the expected ``states``, the smallest first:
            memory that one call leaves behind, the next one has.
        device: ``cpu`` or ``cuda``.
        threads: of the CPU.

    Raises:
        ChildProcessError: the process failed or was killed.
    """
    values = folder, subject.implementation, subject.precision, device, threads, *examples
    command = [sys.executable, "-W", "ignore", "-m", __name__, *map(str, values)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ChildProcessError(
            f"{subject}: expected its process to end well, found status {done.returncode} (-9: "
            f"killed, mostly for want of memory); it said: {done.stderr[-2000:]}"
        )
    return [Findings(*values) for values in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    """The other process: print the findings as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    for name in ("implementation", "precision", "device"):
        parser.add_argument(name)
    parser.add_argument("threads", type=int)
    parser.add_argument("examples", type=Path, nargs="+")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    # PyTorch itself imports the first one when a model is built without memory for its weights.
    for module in ("torch._dynamo", *IMPLEMENTATIONS[args.implementation].imports):
        importlib.import_module(module)
    peak = _PeakOfCuda() if args.device == "cuda" else _PeakOfProcess()
    run = load(Subject("", args.implementation, args.precision), args.folder, args.device)
    loaded = peak.restart()
    found: list[Findings] = []
    for example in args.examples:
        content = torch.load(example, mmap=True)
        wavs = content["wavs"].to(args.device)
        peak.restart()
        for _ in range(1 if found else 2):  # the very first call leaves memory behind
            start = time.perf_counter()
            with torch.no_grad():
                states = run(wavs)
            if wavs.is_cuda:
                torch.cuda.synchronize()
            seconds = time.perf_counter() - start
        called = peak.restart()
        mib = None if loaded is None or called is None else max(loaded, called)
        found.append(Findings(seconds, mib, relative_error(states, content["states"])))
        del states, content
    print(json.dumps(found))


def relative_error(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest over hidden states, in norm; the first layer's input may be missing."""
    pairs = zip(reversed(found), reversed(expected), strict=False)
    return max(float((x.float().cpu() - y).norm() / y.norm()) for x, y in pairs)


class _PeakOfCuda:
    def restart(self) -> float | None:
        """The peak in MiB since the last time, or since the start of the process."""
        peak = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return peak / _MIB


class _PeakOfProcess:
    """Linux's high-water mark, which ``getrusage`` gives as well, but with that of the parent."""

    def __init__(self) -> None:
        self.start = 0.0
        self.restart()
        self.start = self._mib("VmRSS") or 0.0

    def restart(self) -> float | None:
        """As of :class:`_PeakOfCuda`; None where there is no such mark."""
        peak = self._mib("VmHWM")
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return None
        return None if peak is None else peak - self.start

    @staticmethod
    def _mib(name: str) -> float | None:
        try:
            lines = Path("/proc/self/status").read_text().splitlines()
        except OSError:
            return None
        kib = next((line.split()[1] for line in lines if line.startswith(f"{name}:")), None)
        return None if kib is None else int(kib) / 1024


if __name__ == "__main__":
    main()
