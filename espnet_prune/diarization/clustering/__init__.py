"""Who is who across windows: clustering of the embeddings of local speakers, and assignment."""

from espnet_prune.diarization.clustering.agglomerative import LINKAGES, AgglomerativeClustering
from espnet_prune.diarization.clustering.assignment import assign, centroids_of
from espnet_prune.diarization.clustering.bounds import BoundedClustering, Clustering, SpeakerBounds

__all__ = [
    "LINKAGES",
    "AgglomerativeClustering",
    "BoundedClustering",
    "Clustering",
    "SpeakerBounds",
    "assign",
    "centroids_of",
]
