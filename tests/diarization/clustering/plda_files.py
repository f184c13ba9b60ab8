"""A PLDA whose generative model embeddings can be drawn from, in DiariZen's two files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIM = 64
# Variance within and between speakers of an embedding's directions; their sum is 1, so that length
# normalisation changes little.
WITHIN, BETWEEN = 0.3, 0.7


def write_plda(folder: Path, seed: int = 0) -> Path:
    """Write the PLDA of embeddings ``(N, DIM)`` that :func:`draw` makes."""
    folder.mkdir(exist_ok=True)
    zeros = np.zeros(DIM)
    np.savez(folder / "xvec_transform.npz", mean1=zeros, mean2=zeros, lda=rotation(seed))
    transform, psi = np.eye(DIM) / np.sqrt(WITHIN), np.full(DIM, BETWEEN / WITHIN)
    np.savez(folder / "plda.npz", mu=zeros, tr=transform, psi=psi)
    return folder


def rotation(seed: int, size: int = DIM) -> NDArray[np.float64]:
    """A random orthogonal matrix ``(size, size)``."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def draw(speakers: NDArray[np.int64], seed: int, noise: float = 1.0) -> NDArray[np.float32]:
    """Embeddings ``(N, DIM)`` of speakers ``(N,)``; ``noise`` scales what is within one."""
    generator = np.random.default_rng(seed)
    voices = np.sqrt(BETWEEN) * generator.standard_normal((speakers.max() + 1, DIM))
    within = noise * np.sqrt(WITHIN) * generator.standard_normal((len(speakers), DIM))
    return (voices[speakers] + within).astype(np.float32)
