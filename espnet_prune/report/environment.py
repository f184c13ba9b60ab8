"""What results come from and were timed on: environment, device."""

from __future__ import annotations

import time
from statistics import median

import torch
from torch import Tensor

from espnet_prune.encoder import SSLEncoder
from espnet_prune.environment import Environment as Environment
from espnet_prune.environment import this_environment as this_environment

INPUT_SECONDS = 8.0
_WARM_UP = 3
_REPETITIONS = 15


def benchmark_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@torch.no_grad()
def median_seconds(dense: SSLEncoder, pruned: SSLEncoder) -> tuple[float, float]:
    """Median time of one input of ``INPUT_SECONDS`` through each encoder, in seconds.

    The encoders take turns, so that whatever else the machine does slows both alike.
    """
    device = benchmark_device()
    wav = torch.randn(1, round(INPUT_SECONDS * 16000), device=device)
    encoders = [encoder.to(device).eval() for encoder in (dense, pruned)]
    rounds = [[_seconds(each, wav) for each in encoders] for _ in range(_WARM_UP + _REPETITIONS)]
    first, second = zip(*rounds[_WARM_UP:], strict=True)
    return median(first), median(second)


def _seconds(encoder: SSLEncoder, wav: Tensor) -> float:
    start = time.perf_counter()
    encoder(wav)
    if wav.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start
