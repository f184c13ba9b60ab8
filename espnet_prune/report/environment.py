"""What results come from and were timed on: environment, device."""

from __future__ import annotations

from functools import partial
from statistics import median

import torch

from espnet_prune.encoder import SSLEncoder
from espnet_prune.inference.timing import in_turns

INPUT_SECONDS = 8.0
_REPETITIONS = 15


def benchmark_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def median_seconds(dense: SSLEncoder, pruned: SSLEncoder) -> tuple[float, float]:
    """Median time of one input of ``INPUT_SECONDS`` through each encoder, in seconds."""
    device = benchmark_device()
    wav = torch.randn(1, round(INPUT_SECONDS * 16000), device=device)
    calls = [partial(encoder.to(device).eval(), wav) for encoder in (dense, pruned)]
    first, second = in_turns(calls, device, _REPETITIONS)
    return median(first), median(second)
