"""The time of calls that take turns, so that whatever else the machine does slows all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch


def wall_seconds(call: Callable[[], object], device: torch.device) -> float:
    """How long ``call`` takes, until ``device`` is done with it."""
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


@torch.no_grad()
def in_turns(
    calls: Sequence[Callable[[], object]], device: torch.device, rounds: int, warm_up: int = 3
) -> list[list[float]]:
    """Seconds of each call in each of ``rounds``, after ``warm_up`` rounds that do not count."""
    found = [[wall_seconds(call, device) for call in calls] for _ in range(warm_up + rounds)]
    return [list(seconds) for seconds in zip(*found[warm_up:], strict=True)]
