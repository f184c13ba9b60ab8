"""Run a subject in a process of its own: its peak memory, its error, how long it takes."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.implementations import IMPLEMENTATIONS, Subject, load
from benchmarks.memory import peak_meter, run_alone


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
        subject: see :func:`~benchmarks.implementations.load`.
        folder: its files.
        examples: files of ``wavs`` ``(B, T)`` and the expected ``states``, the smallest first:
            memory that one call leaves behind, the next one has.
        device: ``cpu`` or ``cuda``.
        threads: of the CPU.

    Raises:
        ChildProcessError: see :func:`~benchmarks.memory.run_alone`.
    """
    values = folder, subject.implementation, subject.precision, device, threads, *examples
    return [Findings(*each) for each in run_alone(str(subject), __name__, values)]


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
    peak = peak_meter(args.device, IMPLEMENTATIONS[args.implementation].imports)
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
    # Counted from the last layer: torchaudio's states begin after the first layer.
    pairs = zip(found, expected[len(expected) - len(found) :], strict=True)
    return max(float((x.float().cpu() - y).norm() / y.norm()) for x, y in pairs)


if __name__ == "__main__":
    main()
