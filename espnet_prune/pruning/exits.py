"""Exits: the first layers alone, as many as the budgets allow."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from espnet_prune.encoder import EncoderOutput, SSLConfig, SSLEncoder, open_masks
from espnet_prune.pruning.budgets import Costs, Limits, count_costs
from espnet_prune.pruning.cost import expected_widths
from espnet_prune.pruning.gates import Gates

if TYPE_CHECKING:
    from espnet_prune.pruning.config import PruningConfig


class ExitGates(Gates):
    """The deepest exit that every budget allows, one at least; what lies above closes at once.

    The upper layers of self-supervised encoders serve many tasks little (Pasad et al., 2021), and
    one layer after the other costs the least to find. Hidden states up to the exit are those of the
    whole encoder, without the LayerNorm behind its last layer.

    Args:
        config: of the encoder.
        limits: bounds on what the first layers cost.
        seconds: the reference length of MACs.

    Example:
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.pruning import Pruner, PruningConfig
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> config = PruningConfig(target=0.4, warmup_steps=0, gate="exit")
        >>> len(Pruner(encoder, config).apply_to(encoder).config.layers)
        2
    """

    units = default_units = ("layer",)
    coarse: ClassVar = True

    def __init__(self, config: SSLConfig, limits: Limits, seconds: float):
        super().__init__()
        self.config, self.seconds = config, seconds

        def allowed(depth: int) -> bool:
            costs = self._costs(depth)
            return all(
                each.sparsity(costs.by(each.held)) >= each.target for each in limits.values()
            )

        self.depth = next(filter(allowed, range(len(config.layers), 1, -1)), 1)

    @classmethod
    def of(cls, encoder: SSLEncoder, config: PruningConfig) -> ExitGates:
        return cls(encoder.config, config.limits(encoder.config), config.reference_seconds)

    def ranked(self, encoder: SSLEncoder, limits: Limits, seconds: float) -> ExitGates:
        return ExitGates(self.config, limits, seconds)

    def run(self, encoder: SSLEncoder, wavs: Tensor, lengths: Tensor | None) -> EncoderOutput:
        states, frames = encoder.stream(wavs, lengths)
        return EncoderOutput(list(islice(states, self.depth + 1)), frames)

    def costs(self, encoder: SSLEncoder) -> Costs:
        return self._costs(self.depth)

    def least_costs(self) -> Costs:
        return self._costs(1)

    def _costs(self, depth: int) -> Costs:
        first = first_layers(self.config, depth)
        return count_costs(first, self.seconds, expected_widths(first, open_masks(first)))

    @torch.no_grad()
    def apply_to(
        self, encoder: SSLEncoder, limits: Limits, tolerance: float, round_to: int
    ) -> SSLEncoder:
        if round_to != 1:
            raise ValueError(f"expected round_to 1, found {round_to}: exits leave the widths alone")
        small = SSLEncoder(first_layers(self.config, self.depth))
        state, kept = encoder.state_dict(), small.state_dict()
        small.load_state_dict({name: state[name] for name in kept}, strict=True)
        return small.eval()


def first_layers(config: SSLConfig, depth: int) -> SSLConfig:
    """An encoder that ends behind ``depth`` layers; behind all of them, ``config`` itself."""
    if depth == len(config.layers):
        return config
    return replace(config, layers=config.layers[:depth], final_norm=False)
