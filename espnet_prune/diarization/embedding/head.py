"""A small head that turns an encoder's own hidden states into speaker embeddings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from os import PathLike

import torch
from torch import Tensor, nn

from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.embedding.pooling import weighted_statistics
from espnet_prune.ssl import CheckpointError, ConfigError, SSLConfig
from espnet_prune.ssl.checkpoint import load_folder, load_strictly, save_folder
from espnet_prune.ssl.typed import read_typed, settle_types

_KIND = "embedding_head"
_SMALLEST_VARIANCE = 1e-5
_MOST = {"states": 1000, "width": 10**5, "hidden": 10**4, "size": 10**4}


@dataclass(frozen=True)
class EmbeddingHeadConfig:
    """Shape of a head.

    Attributes:
        states: hidden states of the encoder, N + 1.
        width: of them, D.
        hidden: channels that are pooled.
        size: of an embedding, E.

    Raises:
        ConfigError: a value of another type or out of its range.
    """

    states: int
    width: int
    hidden: int = 96
    size: int = 192

    def __post_init__(self) -> None:
        settle_types(self)
        for name, most in _MOST.items():
            if not 1 <= (value := getattr(self, name)) <= most:
                raise ConfigError(f"expected an embedding head's {name} from 1 to {most}, found {value}")


class EmbeddingHead(nn.Module):
    """Weighted sum of hidden states, projection, attentive statistics (Okabe et al., 2018), projection.

    The attention has one weight per frame; a speaker's frames share it out among themselves.
    """

    def __init__(self, config: EmbeddingHeadConfig):
        super().__init__()
        self.config = config
        self.mix = nn.Parameter(torch.full((config.states,), 1.0 / config.states))
        self.norm = nn.LayerNorm(config.width)
        self.projection = nn.Linear(config.width, config.hidden)
        self.attention = nn.Linear(config.hidden, 1)
        self.batch_norm = nn.BatchNorm1d(2 * config.hidden)
        self.output = nn.Linear(2 * config.hidden, config.size)

    def forward(self, states: Mapping[int, Tensor], weights: Tensor) -> Tensor:
        """Embed the local speakers of windows.

        Args:
            states: all hidden states ``(B, L, D)`` by their number.
            weights: ``(B, L, S)``, at least 0, of each frame for each local speaker.

        Returns:
            ``(B, S, E)``.
        """
        mixed = torch.stack([self.mix[n] * states[n] for n in range(len(self.mix))]).sum(0)
        features = self.projection(self.norm(mixed)).relu()
        # Nobody's frames are shared out as NaN.
        shares = (weights.log() + self.attention(features)).softmax(1).nan_to_num()
        statistics = weighted_statistics(features, shares, floor=_SMALLEST_VARIANCE)
        pooled = self.batch_norm(statistics.flatten(0, 1)).unflatten(0, statistics.shape[:2])
        return self.output(pooled)

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write the head to ``folder``."""
        save_folder(folder, _KIND, asdict(self.config), self.state_dict())
