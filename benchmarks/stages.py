"""Where the time of a diarizer goes: seconds, CPU seconds and peak memory of its stages."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.memory import PeakOfCuda, PeakOfProcess
from espnet_prune.diarization.pipeline import Diarizer

STAGES = ("encoder", "head", "embedding", "clustering", "stitching")
"""``encoder`` is whatever the local model does besides: reading, decisions, the median filter."""


class StageMeter:
    """Time and peak memory of stages; what happens in an inner stage is not the outer one's.

    Without a meter of memory there is time alone.
    """

    def __init__(self, peak: PeakOfCuda | PeakOfProcess | None = None):
        self.seconds: dict[str, float] = defaultdict(float)
        self.cpu_seconds: dict[str, float] = defaultdict(float)
        self.peaks: dict[str, float | None] = {}
        self._peak, self._since, self._cpu_since = peak, 0.0, 0.0
        self._names: list[str] = []

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The block is of stage ``name``."""
        self.begin(name)
        try:
            yield
        finally:
            self.end()

    def begin(self, name: str) -> None:
        """From here on it is stage ``name``."""
        self._account()
        self._names.append(name)

    def end(self) -> None:
        """From here on it is the stage before the last :meth:`begin`."""
        self._account()
        self._names.pop()

    def _account(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = time.perf_counter() - self._since
        cpu_seconds = time.process_time() - self._cpu_since
        peak = self._peak.restart() if self._peak else None
        if self._names:
            name = self._names[-1]
            self.seconds[name] += seconds
            self.cpu_seconds[name] += cpu_seconds
            known = self.peaks.get(name, 0.0)
            self.peaks[name] = None if peak is None or known is None else max(known, peak)
        self._since, self._cpu_since = time.perf_counter(), time.process_time()


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
    """Have ``meter`` told of :data:`STAGES` from here on, but for ``encoder``, the rest of a run.

    Calls of :meth:`Diarizer.run` are to be in a stage ``encoder``.
    """
    local, head = diarizer.local, diarizer.model.head
    head.register_forward_pre_hook(lambda *_: meter.begin("head"))
    head.register_forward_hook(lambda *_: meter.end())
    replaced: Any = diarizer
    local.embedder = Metered(local.embedder, "embedding", meter)
    replaced.label = Metered(diarizer.label, "clustering", meter)
    replaced.join = Metered(diarizer.join, "stitching", meter)
