"""Hard-concrete gates: a differentiable stand-in for counting open units, of a whole encoder."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from espnet_prune.encoder import Masks, SSLConfig, SSLEncoder, unit_sizes
from espnet_prune.encoder.masks import make_masks
from espnet_prune.encoder.typed import check_name
from espnet_prune.pruning.gates import UnitGates

if TYPE_CHECKING:
    from espnet_prune.pruning.config import PruningConfig

DROP_RATES = {"conv": 0.01, "head": 0.01, "ffn": 0.5, "attention_layer": 0.01, "ffn_layer": 0.01,
              "rank": 0.5}  # fmt: skip
"""Initial drop rate of each kind of unit; DPHuBERT's, and that of ``ffn`` for ``rank``."""


class HardConcrete(nn.Module):
    """A vector of gates with exact zeros and ones (Louizos et al., 2018).

    A gate z = clamp(s (r - l) + l, 0, 1) with s a stretched binary concrete variable of location
    log alpha and temperature 2/3, l = -0.1 and r = 1.1.

    ``drop_rate`` is the initial probability that the concrete variable of one of the ``size`` gates
    is off.

    Example:
        >>> from espnet_prune.pruning import HardConcrete
        >>> gates = HardConcrete(size=8, drop_rate=0.9)
        >>> gates.sample().shape
        torch.Size([8])
        >>> int((gates.mask() > 0).sum())
        3
    """

    temperature, low, high, epsilon = 2 / 3, -0.1, 1.1, 1e-6
    # FLOP's empirical scale of log alpha for the deterministic value (Wang et al., 2020).
    sharpness = 0.8

    def __init__(self, size: int, drop_rate: float):
        super().__init__()
        if not 0 < drop_rate < 1:
            raise ValueError(f"expected a drop rate between 0 and 1, found {drop_rate}")
        mean = math.log((1 - drop_rate) / drop_rate)
        self.log_alpha = nn.Parameter(torch.empty(size).normal_(mean, 0.01))

    def sample(self) -> Tensor:
        """Random gate values ``(n,)``, differentiable in log alpha."""
        noise = torch.rand_like(self.log_alpha).clamp(self.epsilon, 1 - self.epsilon)
        logits = torch.logit(noise) + self.log_alpha
        stretched = torch.sigmoid(logits / self.temperature) * (self.high - self.low) + self.low
        return stretched.clamp(0, 1)

    def open_probability(self) -> Tensor:
        """P(z > 0) per gate, ``(n,)``."""
        return torch.sigmoid(self.log_alpha - self.temperature * math.log(-self.low / self.high))

    def open_value(self) -> Tensor:
        """What each gate multiplies by in evaluation if it stays open, ``(n,)``."""
        return torch.sigmoid(self.sharpness * self.log_alpha / self.temperature)

    def mask(self) -> Tensor:
        """The gates of evaluation ``(n,)``: as many zeros as expected, open values elsewhere."""
        soft = self.open_value()
        closed = int((1 - self.open_probability()).sum().round())
        order = torch.argsort(soft, stable=True)
        return soft.index_fill(0, order[:closed], 0.0)


class HardConcreteGates(UnitGates):
    """One vector of gates per layer and kind of unit, outside the model.

    They are sampled in training. They do not look at the weights: every method may be called
    without the encoder.

    Args:
        config: the encoder that is gated.
        units: the kinds of units that may close, of ``conv``, ``head``, ``ffn``,
            ``attention_layer``, ``ffn_layer``, ``rank`` (of a :func:`.factored` encoder).
        drop_rates: initial drop rate per kind, over DPHuBERT's (0.01, and 0.5 for ``ffn``).
        seconds: the reference length of MACs.

    Example:
        >>> import torch
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.pruning import HardConcreteGates
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> gates = HardConcreteGates(encoder.config, units=("head", "ffn"))
        >>> output = encoder(torch.zeros(1, 8000), masks=gates())  # sampled
        >>> gates.masks().head[0].shape, gates.masks().conv[0]
        (torch.Size([6]), None)
    """

    units = tuple(DROP_RATES)
    default_units = ("conv", "head", "ffn")

    def __init__(
        self,
        config: SSLConfig,
        units: tuple[str, ...] = default_units,
        drop_rates: Mapping[str, float] | None = None,
        seconds: float = 1.0,
    ):
        super().__init__(config, units, seconds)
        rates = {**DROP_RATES, **(drop_rates or {})}
        for unit in (*units, *rates):
            check_name("units of hard_concrete", unit, DROP_RATES)
        sizes = unit_sizes(config)
        self.gates = nn.ModuleDict(
            {
                f"{unit}_{index}": HardConcrete(size, rates[unit])
                for unit in units
                for index, size in enumerate(sizes[unit])
                if size
            }
        )

    @classmethod
    def of(cls, encoder: SSLEncoder, config: PruningConfig) -> HardConcreteGates:
        return cls(encoder.config, config.closing, config.drop_rates, config.reference_seconds)

    def forward(self, encoder: SSLEncoder | None = None) -> Masks:
        return self._collect(HardConcrete.sample if self.training else HardConcrete.mask)

    def masks(self, encoder: SSLEncoder | None = None) -> Masks:
        return self._collect(HardConcrete.mask)

    def open_values(self, encoder: SSLEncoder | None = None) -> Masks:
        return self._collect(HardConcrete.open_value)

    # What a gate multiplies by and its probability of being open grow together.
    ranking = open_values

    def open_probabilities(self, encoder: SSLEncoder | None = None) -> Masks:
        return self._collect(HardConcrete.open_probability)

    def _collect(self, value: Callable[[HardConcrete], Tensor]) -> Masks:
        def of_layer(unit: str, index: int, _: int) -> Tensor | None:
            name = f"{unit}_{index}"
            if name not in self.gates:
                return None
            values = value(cast(HardConcrete, self.gates[name]))
            return values.squeeze(0) if unit.endswith("_layer") else values

        return make_masks(self.config, of_layer)
