"""WavLM (Chen et al., 2022): a gated relative position bias in the attention."""

from __future__ import annotations

from collections.abc import Iterator

from espnet_prune.encoder.attention import PositionGate, RelativePositionBias
from espnet_prune.encoder.config import SSLConfig
from espnet_prune.encoder.families.base import Family, Number


class WavLM(Family):
    """HuBERT with buckets of relative positions, whose bias each layer gates per head."""

    def __init__(self) -> None:
        super().__init__("WavLM")

    def sizes(self, config: SSLConfig) -> dict[str, tuple[int, int]]:
        buckets = {
            "num_buckets": (config.num_buckets, 4),
            "max_distance": (config.max_distance, 2),
        }
        return {**super().sizes(config), **buckets}

    def contradictions(self, config: SSLConfig) -> Iterator[str]:
        yield from super().contradictions(config)
        heads, head_dim, dim = config.num_heads, config.head_dim, config.embed_dim
        if heads * head_dim != dim:
            yield (
                f"WavLM needs num_heads * head_dim == embed_dim, found "
                f"{heads} * {head_dim} != {dim}"
            )
        if config.max_distance <= config.num_buckets // 4:
            yield (
                f"max_distance {config.max_distance} leaves no room for {config.num_buckets} "
                "buckets"
            )

    def position_bias(self, config: SSLConfig) -> RelativePositionBias:
        return RelativePositionBias(config.num_buckets, config.max_distance, config.num_heads)

    def position_gate(self, config: SSLConfig, heads: tuple[int, ...]) -> PositionGate:
        return PositionGate(config, heads)

    def position_params(self, config: SSLConfig) -> int:
        return config.num_buckets * config.num_heads

    def position_gate_params(self, config: SSLConfig, heads: Number, any_head: Number) -> Number:
        return any_head * 8 * (config.head_dim + 1) + heads
