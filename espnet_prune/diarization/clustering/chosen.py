"""The clustering that a configuration asks for, offline and of streams."""

from __future__ import annotations

from espnet_prune.diarization.clustering.agglomerative import AgglomerativeClustering
from espnet_prune.diarization.clustering.base import BoundedClustering
from espnet_prune.diarization.clustering.vbx import VBxClustering, VBxConfig
from espnet_prune.diarization.inference_config import InferenceConfig
from espnet_prune.encoder import ConfigError
from espnet_prune.encoder.typed import read_typed


def make_clustering(config: InferenceConfig) -> AgglomerativeClustering | BoundedClustering:
    """The clustering that ``config`` asks for; ConfigError of options that it does not have."""
    if config.clustering == "ahc":
        return AgglomerativeClustering(config.threshold, config.linkage, config.min_cluster_size)
    return BoundedClustering(VBxClustering(read_typed(VBxConfig, config.vbx_conf, "vbx_conf")))


def online_threshold(config: InferenceConfig) -> float:
    """The cosine distance at which a clustering tells speakers apart; ConfigError of VBx."""
    if config.clustering != "ahc":
        raise ConfigError(
            f"expected a threshold, since the clustering {config.clustering} has none that a "
            "stream could take; pass threshold, the cosine distance of different speakers"
        )
    # Centroids of unit vectors are compared by their Euclidean distance.
    return config.threshold**2 / 2 if config.linkage == "centroid" else config.threshold
