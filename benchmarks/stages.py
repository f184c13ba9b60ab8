"""Where the time of a diarizer goes: seconds, CPU seconds and peak memory of its stages."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.memory import PeakOfCuda, PeakOfProcess
from espnet_prune.diarization.pipeline import Diarizer

STAGES = ("encoder", "head", "embedding", "clustering", "stitching")


class StageMeter:
    """Time and peak memory of stages; what happens in an inner stage is not the outer one's.

    Each thread has stages of its own; the times of all are added up. Without a meter of memory
    there is time alone.
    """

    def __init__(self, peak: PeakOfCuda | PeakOfProcess | None = None):
        self.seconds: dict[str, float] = defaultdict(float)
        self.cpu_seconds: dict[str, float] = defaultdict(float)
        self.peaks: dict[str, float | None] = {}
        self._peak, self._thread, self._lock = peak, _Thread(), threading.Lock()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The block is of stage ``name``."""
        self._account()
        self._thread.names.append(name)
        try:
            yield
        finally:
            self._account()
            self._thread.names.pop()

    def _account(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        own = self._thread
        seconds, cpu_seconds = time.perf_counter() - own.since, time.thread_time() - own.cpu_since
        with self._lock:
            peak = self._peak.restart() if self._peak else None
            if own.names:
                name = own.names[-1]
                self.seconds[name] += seconds
                self.cpu_seconds[name] += cpu_seconds
                known = self.peaks.get(name, 0.0)
                self.peaks[name] = None if peak is None or known is None else max(known, peak)
        own.since, own.cpu_since = time.perf_counter(), time.thread_time()


class _Thread(threading.local):
    """The stages that a thread is in, and since when in the innermost."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.since = self.cpu_since = 0.0


class Metered:
    """A callable whose calls are a stage; its attributes are those of what it calls."""

    def __init__(self, call: Callable[..., Any], stage: str, meter: StageMeter):
        self._call, self._stage, self._meter = call, stage, meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        with self._meter.stage(self._stage):
            return self._call(*args, **options)


def meter_stages(diarizer: Diarizer, meter: StageMeter) -> None:
    """Have ``meter`` told of :data:`STAGES` from here on."""
    networks: Any = diarizer.local.networks
    networks.hear = Metered(networks.hear, "encoder", meter)
    networks.head = Metered(networks.head, "head", meter)
    networks.embedder = Metered(networks.embedder, "embedding", meter)
    replaced: Any = diarizer
    replaced.label = Metered(diarizer.label, "clustering", meter)
    replaced.join = Metered(diarizer.join, "stitching", meter)
