"""Probabilistic linear discriminant analysis (Ioffe, 2006): where VBx compares embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from espnet_prune.diarization.clustering.base import Doubles, Floats, normalised
from espnet_prune.encoder import ConfigError
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.sniffing import ARRAYS, require_kind

_TRANSFORM, _PLDA = "xvec_transform.npz", "plda.npz"


@dataclass(frozen=True)
class Plda:
    """Projects embeddings to where speakers differ by ``psi`` and one speaker's varies by 1.

    Embeddings are less their mean ``centre`` ``(E,)``, scaled to a length, projected by linear
    discriminant analysis ``lda`` ``(E, D)``, less ``lda_centre`` ``(D,)``, scaled again, less
    ``mean`` ``(D,)``, and projected to the directions ``transform`` ``(K, D)``, which are
    independent of each other within and between speakers: ``psi`` ``(K,)`` is the variance between
    speakers in each, the largest first, where that within speakers is 1.
    """

    centre: Doubles
    lda: Doubles
    lda_centre: Doubles
    mean: Doubles
    transform: Doubles
    psi: Doubles

    def __call__(self, embeddings: Floats) -> Doubles:
        """Embeddings ``(N, E)`` to vectors ``(N, K)``; ConfigError of those of another model."""
        expected, found = len(self.centre), embeddings.shape[1]
        if expected != found:
            raise ConfigError(
                f"expected speaker embeddings of size {expected}, which this PLDA was trained on, "
                f"found {found}; use those embeddings, or clustering without PLDA"
            )
        vectors = np.sqrt(expected) * normalised(embeddings - self.centre)
        projected = vectors @ self.lda - self.lda_centre
        return (np.sqrt(len(self.mean)) * normalised(projected) - self.mean) @ self.transform.T


def load_plda(folder: str | PathLike[str], dim: int) -> Plda:
    """Read ``xvec_transform.npz`` and ``plda.npz`` of the ``plda`` folder of a DiariZen release.

    ``dim`` directions are used, those where speakers differ most. CheckpointError: a file is
    missing or damaged, or its arrays do not fit.
    """
    folder = Path(folder)
    centre, lda, lda_centre = _read(folder / _TRANSFORM, "mean1", "lda", "mean2")
    mean, transform, psi = _read(folder / _PLDA, "mu", "tr", "psi")
    found = [array.shape for array in (centre, lda, lda_centre, mean, transform, psi)]
    size, dims = (len(centre),), (len(mean),)
    if found != [size, size + dims, dims, dims, dims * 2, dims]:
        raise CheckpointError(
            f"{folder}: expected mean1 (E), lda (E, D), mean2 (D), mu (D), tr (D, D) and psi (D), "
            f"found {', '.join(map(str, found))}; get the files again"
        )
    # The rows of tr are the generalized eigenvectors of the covariances between and within
    # speakers, and psi the eigenvalues: to have the largest first they need no new decomposition.
    order = np.argsort(-psi, kind="stable")[:dim]
    return Plda(centre, lda, lda_centre, mean, transform[order], psi[order])


def _read(path: Path, *names: str) -> list[Doubles]:
    require_kind(path, ARRAYS)
    try:
        with np.load(path) as arrays:
            found = [np.atleast_1d(arrays[name].astype(np.float64).squeeze()) for name in names]
        if all(np.isfinite(array).all() for array in found):
            return found
        raise ValueError("NaN or infinity in them")
    except Exception as error:  # of the dozen that damaged files raise, MemoryError among them
        raise CheckpointError(
            f"{path}: expected the arrays {', '.join(names)} of a PLDA, found none "
            f"({type(error).__name__}: {error}); pass the plda folder of a DiariZen release"
        ) from error
