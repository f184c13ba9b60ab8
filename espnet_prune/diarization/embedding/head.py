"""A small head that turns an encoder's own hidden states into speaker embeddings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn

from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.embedding.pooling import weighted_statistics
from espnet_prune.encoder import ConfigError, SSLConfig
from espnet_prune.encoder.typed import read_typed, settle_types
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.checkpoint import load_folder, load_strictly, save_folder

_KIND = "embedding_head"
_SMALLEST_VARIANCE = 1e-5
_MOST = {"states": 1000, "width": 10**5, "hidden": 10**4, "size": 10**4}


@dataclass(frozen=True)
class EmbeddingHeadConfig:
    """Shape of a head, that of its encoder's N + 1 hidden states included.

    ``width`` of them is D, ``hidden`` the channels that are pooled, ``size`` of an embedding E.

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
                raise ConfigError(
                    f"expected an embedding head's {name} from 1 to {most}, found {value}"
                )


class EmbeddingHead(nn.Module):
    """Weighted sum of hidden states, attentive statistics (Okabe et al., 2018), a linear map.

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

    @classmethod
    def for_encoder(
        cls, encoder: SSLConfig, conf: Mapping[str, Any] | None = None
    ) -> EmbeddingHead:
        """A new head for an encoder, with more arguments of :class:`EmbeddingHeadConfig`."""
        values = {**_shape(encoder), **(conf or {})}
        return cls(read_typed(EmbeddingHeadConfig, values, "head_conf"))

    def forward(self, states: Mapping[int, Tensor], weights: Tensor) -> Tensor:
        """All hidden states ``(B, L, D)``, and weights ``(B, L, S)``, to ``(B, S, E)``."""
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


class HeadEmbedder(nn.Module):
    """Embed local speakers by a head on the diarization model's own hidden states."""

    def __init__(self, head: EmbeddingHead):
        super().__init__()
        self.head = head.requires_grad_(False).eval()
        self.layers: Collection[int] = range(head.config.states)

    @classmethod
    def from_pretrained(cls, folder: str, encoder: SSLConfig) -> HeadEmbedder:
        """Load the head of an encoder, strictly.

        CheckpointError: the folder is missing, damaged, or its head is of another encoder.
        """
        if not folder:
            raise CheckpointError(
                "expected an embedding head beside a diarization model, found none; train one "
                "(embedding_train), or name its folder (head:FOLDER)"
            )
        values, state = load_folder(folder, _KIND)
        try:
            config = read_typed(EmbeddingHeadConfig, values)
        except ConfigError as error:
            raise CheckpointError(f"{folder}: {error}") from error
        head, expected = EmbeddingHead(config), _shape(encoder)
        load_strictly(head, state, folder)
        if (found := {key: getattr(config, key) for key in expected}) != expected:
            raise CheckpointError(
                f"{folder}: expected an embedding head for {expected}, found one for {found}; "
                "train one on this encoder"
            )
        return cls(head)

    def forward(self, stretch: Stretch, states: Mapping[int, Tensor], weights: Tensor) -> Tensor:
        """As of :class:`SpeakerEmbedder`."""
        return self.head(states, weights) * (weights > 0).any(1)[:, :, None]


def _shape(encoder: SSLConfig) -> dict[str, int]:
    """What a head's config says of its encoder."""
    return {"states": len(encoder.layers) + 1, "width": encoder.embed_dim}
