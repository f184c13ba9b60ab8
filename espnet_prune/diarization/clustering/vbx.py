"""VBx: Bayesian clustering of speaker embeddings (Landini et al., 2022), without its HMM.

As in DiariZen (Han et al., 2025), whose windows overlap and have several speakers: there the next
embedding tells nothing about who spoke before.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp, softmax

from espnet_prune.diarization.clustering.agglomerative import AgglomerativeClustering
from espnet_prune.diarization.clustering.base import Doubles, Floats, Indices, in_order
from espnet_prune.diarization.clustering.plda import load_plda
from espnet_prune.encoder import ConfigError
from espnet_prune.encoder.typed import settle_types

_SHARPNESS = 7.0  # log odds at first: an embedding is a little of every speaker
_SMALLEST_PRIOR = 1e-7  # a speaker of less probability is none
_PRIOR_FLOOR = 1e-8  # keeps the logarithm finite
_TOLERANCE = 1e-4  # growth of the evidence lower bound at which iterations stop


class Responsibilities(NamedTuple):
    """Which speaker each embedding is of: ``values`` ``(N, M)``, whose rows sum to 1.

    ``priors`` ``(M,)`` are the shares of the speakers, ``bounds`` the evidence lower bound after
    each iteration, which never falls.
    """

    values: Doubles
    priors: Doubles
    bounds: list[float]


@dataclass(frozen=True)
class VBxConfig:
    """The choices of VBx.

    Attributes:
        plda: folder with ``xvec_transform.npz`` and ``plda.npz``, as in a DiariZen release; of the
            model that makes the embeddings.
        Fa: how much an embedding counts: less than 1, since overlapping windows say the same again.
        Fb: regularises speaker models: the larger, the fewer speakers.
        threshold: distance between centroids at which the first clustering, AHC, stops.
        max_iters: of Bayesian inference, at most.
        lda_dim: directions of PLDA that are used, where speakers differ most.

    Raises:
        ConfigError: a value of another type or out of range.
    """

    plda: str | Path
    Fa: float = 0.07
    Fb: float = 0.8
    threshold: float = 0.6
    max_iters: int = 20
    lda_dim: int = 128

    def __post_init__(self) -> None:
        settle_types(self)
        for name in ("Fa", "Fb", "max_iters", "lda_dim"):
            if not (value := getattr(self, name)) > 0:
                raise ConfigError(f"expected {name} of VBx above 0, found {value!r}; correct it")


class VBxClustering:
    """Start from AHC with too many clusters, and let Bayesian inference do away with some.

    The number of speakers is found, not given. That two embeddings of one window are of different
    speakers is not used here, but by the assignment afterwards.
    """

    def __init__(self, config: VBxConfig):
        self.plda = load_plda(config.plda, config.lda_dim)
        self.initial = AgglomerativeClustering(config.threshold, linkage="centroid")
        self.config = config

    def __call__(self, embeddings: Floats, windows: Indices) -> Indices:
        """Embeddings ``(N, E)`` of windows ``(N,)`` to labels ``(N,)``, N at least 1."""
        vectors = self.plda(embeddings)
        first = one_hot_softened(self.initial(embeddings, windows))
        config = self.config
        values, priors, _ = infer(
            vectors, self.plda.psi, first, config.Fa, config.Fb, config.max_iters
        )
        return in_order(values[:, priors > _SMALLEST_PRIOR].argmax(axis=1))


def one_hot_softened(labels: Indices) -> Doubles:
    """Responsibilities ``(N, M)`` of labels ``(N,)`` from 0, most of each row in one entry."""
    return softmax(_SHARPNESS * np.eye(labels.max() + 1)[labels], axis=1)


def infer(
    vectors: Doubles, psi: Doubles, responsibilities: Doubles, Fa: float, Fb: float, max_iters: int
) -> Responsibilities:
    """Variational inference of who is who among vectors of a PLDA.

    A speaker's mean is normal with variances ``psi`` ``(K,)``, and ``vectors`` ``(N, K)`` are
    normal about it with variances 1. From ``responsibilities`` ``(N, M)``, whose rows sum to 1,
    speaker models and responsibilities are estimated in turn until the evidence lower bound grows
    no more, ``max_iters`` times at most. ``Fa`` scales the evidence, ``Fb`` the divergence of
    speaker models from their prior.
    """
    scaled = vectors * np.sqrt(psi)
    constant = -0.5 * ((vectors**2).sum(axis=1) + len(psi) * np.log(2 * np.pi))
    priors = np.full(responsibilities.shape[1], 1 / responsibilities.shape[1])
    bounds: list[float] = []
    for _ in range(max_iters):
        # Posterior of each speaker's standard normal factor: variances and means (M, K).
        variances = 1 / (1 + Fa / Fb * np.outer(responsibilities.sum(axis=0), psi))
        means = Fa / Fb * variances * (responsibilities.T @ scaled)
        fit = scaled @ means.T - 0.5 * (variances + means**2) @ psi + constant[:, None]
        joint = Fa * fit + np.log(priors + _PRIOR_FLOOR)
        evidence = logsumexp(joint, axis=1)
        responsibilities = np.exp(joint - evidence[:, None])
        priors = responsibilities.mean(axis=0)
        divergence = 0.5 * (variances - np.log(variances) + means**2 - 1).sum()
        bounds.append(float(evidence.sum() - Fb * divergence))
        if len(bounds) > 1 and bounds[-1] - bounds[-2] < _TOLERANCE:
            break
    return Responsibilities(responsibilities, priors, bounds)
