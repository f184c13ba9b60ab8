"""Embeddings of a few voices, with noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DIM = 8


def noisy(voices, seed: int = 0, noise: float = 0.05) -> NDArray[np.float32]:
    """One embedding ``(N, DIM)`` per entry of ``voices``; each voice is an axis."""
    picked = np.eye(DIM, dtype=np.float32)[np.asarray(voices, dtype=np.int64)]
    generator = np.random.default_rng(seed)
    return picked + noise * generator.standard_normal(picked.shape).astype(np.float32)


def same_partition(first, second) -> bool:
    """Whether two labellings ``(N,)`` put together the same entries."""
    first, second = np.asarray(first), np.asarray(second)
    together = first[:, None] == first[None]
    return bool(np.array_equal(together, second[:, None] == second[None]))
