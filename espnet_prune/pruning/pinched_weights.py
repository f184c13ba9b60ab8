"""Self-pinching gates on single weights: a sparse model of the same shape."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from espnet_prune.encoder import EncoderOutput, SSLEncoder
from espnet_prune.encoder.typed import ConfigError
from espnet_prune.pruning.budgets import Costs, Held, Limit, Limits, count_costs
from espnet_prune.pruning.cost import Cost
from espnet_prune.pruning.gates import Gates
from espnet_prune.pruning.rounding import BudgetMissed
from espnet_prune.pruning.self_pinching import SelfPinching

if TYPE_CHECKING:
    from espnet_prune.pruning.config import PruningConfig

# The gated layers, by the end of their weight's name: every convolution and linear map whose size
# grows with the model's. The positional convolution holds its directions in `original1`.
_GATED = ("conv.weight", "projection.weight", "original1", "qkv.weight", "out_proj.weight",
          "fc1.weight", "fc2.weight")  # fmt: skip
# The part of the cost that a weight belongs to, by what its name contains.
_PARTS = {
    "conv_layers": "conv",
    "projection": "projection",
    "pos_conv": "pos_conv",
    "attention": "attention",
    "feed_forward": "ffn",
}


class PinchedWeights(Gates):
    """One threshold per layer on the magnitude of its weights.

    The cost counts the parameters that are not closed; MACs, of an input of ``seconds``, stay those
    of the dense model, for single zeros save none. The weights of the ``encoder`` now set the
    thresholds' scales.

    Example:
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.pruning import PinchedWeights
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> masks = PinchedWeights(encoder).masks(encoder)
        >>> len(masks), masks["layers.0.attention.qkv.weight"].shape
        (18, torch.Size([1152, 384]))
    """

    units = default_units = ("weight",)
    sparse = True
    travel = 30.0

    def __init__(self, encoder: SSLEncoder, temperature: float = 0.1, seconds: float = 1.0):
        super().__init__()
        self.dense = count_costs(encoder.config, seconds)
        self.gates = nn.ModuleDict()
        self.sizes: dict[str, int] = {}
        for name, weight in encoder.named_parameters():
            if name.endswith(_GATED):
                offset = weight.detach().new_zeros(())
                self.gates[_key(name)] = SelfPinching(weight, offset, temperature)
                self.sizes[name] = weight.numel()

    @classmethod
    def check(cls, units: tuple[str, ...], measures: tuple[str, ...] = ("params",)) -> None:
        if set(units) != {"weight"} or measures != ("params",):
            raise ConfigError(
                "expected weight as the only unit, under a budget on parameters (single weights "
                f"save no computation), found units {list(units)}, a budget on "
                f"{', '.join(measures)}"
            )

    @classmethod
    def of(cls, encoder: SSLEncoder, config: PruningConfig) -> PinchedWeights:
        return cls(encoder, config.temperature, config.reference_seconds)

    def run(self, encoder: SSLEncoder, wavs: Tensor, lengths: Tensor | None) -> EncoderOutput:
        masks = self.masks(encoder)
        weights = {name: encoder.get_parameter(name) * mask for name, mask in masks.items()}
        return functional_call(encoder, weights, (wavs, lengths))

    def masks(self, encoder: SSLEncoder) -> dict[str, Tensor]:
        """The mask of each gated weight by its name, in its shape."""
        return {
            name: self.gates[_key(name)](encoder.get_parameter(name).abs()) for name in self.sizes
        }

    def costs(self, encoder: SSLEncoder) -> Costs:
        return self._costs({name: mask.sum() for name, mask in self.masks(encoder).items()})

    def least_costs(self) -> Costs:
        return self._costs(dict.fromkeys(self.sizes, 0))

    def _costs(self, kept: Mapping[str, Tensor | int]) -> Costs:
        def count(held: Held) -> Cost:
            cost = self.dense.by(held)
            if held.measure != "params":
                return cost
            for name, number in kept.items():
                part, closed = _part(name), self.sizes[name] - number
                cost = replace(cost, **{part: getattr(cost, part) - closed})
            return cost

        return Costs(count)

    @torch.no_grad()
    def apply_to(
        self, encoder: SSLEncoder, limits: Limits, tolerance: float, round_to: int
    ) -> SSLEncoder:
        # A copy with exact zeros: one factor, near 1, scales all thresholds of a part.
        if round_to != 1:
            raise ValueError(
                f"expected round_to 1, found {round_to}: single weights leave the widths alone"
            )
        gates = copy.deepcopy(self)
        for limit in limits.values():
            gates._settle(encoder, limit, tolerance)
        sparse = copy.deepcopy(encoder)
        for name, mask in gates.masks(encoder).items():
            sparse.get_parameter(name).mul_(mask)
        return sparse.eval()

    def _settle(self, encoder: SSLEncoder, limit: Limit, tolerance: float) -> None:
        """Scale the thresholds of the limited part to its target, by bisection."""
        thresholds = [
            cast(SelfPinching, self.gates[_key(name)]).threshold
            for name in self.sizes
            if limit.part in ("total", _half(name))
        ]
        trained = [threshold.clone() for threshold in thresholds]

        def excess(factor: float) -> float:
            for threshold, value in zip(thresholds, trained, strict=True):
                threshold.copy_(value * factor)
            return float(limit.sparsity(self.costs(encoder).by(limit.held))) - limit.target

        low, high = 0.5, 2.0
        for _ in range(30):
            middle = (low * high) ** 0.5
            low, high = (low, middle) if excess(middle) > 0 else (middle, high)
        if not abs(found := excess(high)) <= tolerance:
            raise BudgetMissed(
                f"expected {limit.told(limit.target)} within {tolerance:.1%}, found "
                f"{limit.target + found:.1%} with all thresholds scaled by {high:.2f}"
            )


def _key(name: str) -> str:
    return name.replace(".", "/")


def _part(name: str) -> str:
    return next(part for piece, part in _PARTS.items() if piece in name)


def _half(name: str) -> str:
    return "front_end" if _part(name) in ("conv", "projection") else "transformer"
