"""Speaker embeddings: what the local speakers of windows sound like."""

from espnet_prune.diarization.embedding.base import SpeakerEmbedder, Stretch
from espnet_prune.diarization.embedding.campplus import CAMPlusPlusEmbedder
from espnet_prune.diarization.embedding.head import EmbeddingHead, EmbeddingHeadConfig, HeadEmbedder
from espnet_prune.diarization.embedding.pooled import PooledSpectra, PooledStates
from espnet_prune.diarization.embedding.sources import (
    EMBEDDINGS,
    Embedding,
    embeddings_help,
    make_embedder,
)
from espnet_prune.diarization.embedding.wespeaker import WESPEAKER, WeSpeakerEmbedder

__all__ = [
    "EMBEDDINGS",
    "WESPEAKER",
    "CAMPlusPlusEmbedder",
    "Embedding",
    "EmbeddingHead",
    "EmbeddingHeadConfig",
    "HeadEmbedder",
    "PooledSpectra",
    "PooledStates",
    "SpeakerEmbedder",
    "Stretch",
    "WeSpeakerEmbedder",
    "embeddings_help",
    "make_embedder",
]
