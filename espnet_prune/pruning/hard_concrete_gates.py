"""Hard-concrete gates of one encoder: they own every log alpha and yield masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from espnet_prune.encoder import Masks, SSLConfig, SSLEncoder, unit_sizes
from espnet_prune.encoder.typed import check_name
from espnet_prune.pruning.gates import UnitGates
from espnet_prune.pruning.hard_concrete import HardConcrete

if TYPE_CHECKING:
    from espnet_prune.pruning.config import PruningConfig

DROP_RATES = {
    "conv": 0.01,
    "head": 0.01,
    "ffn": 0.5,
    "attention_layer": 0.01,
    "ffn_layer": 0.01,
}


class HardConcreteGates(UnitGates):
    """One vector of gates per layer and kind of unit, outside the model.

    The gates do not look at the weights: every method may be called without the encoder.

    Args:
        config: the encoder that is gated.
        units: the kinds of units that may close, of ``conv``, ``head``, ``ffn``,
            ``attention_layer``, ``ffn_layer``.
        drop_rates: initial drop rate per kind, over DPHuBERT's (0.01, and 0.5 for ``ffn``).
        seconds: the reference length of MACs.

    Raises:
        ConfigError: an unknown kind of unit.

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
        units: tuple[str, ...] = ("conv", "head", "ffn"),
        drop_rates: Mapping[str, float] | None = None,
        seconds: float = 1.0,
    ):
        super().__init__(config, units, seconds)
        drop_rates = {**DROP_RATES, **(drop_rates or {})}
        for unit in (*units, *drop_rates):
            check_name("units of hard_concrete", unit, DROP_RATES)
        sizes = unit_sizes(config)
        self.num_layers = {unit: len(sizes[unit]) for unit in DROP_RATES}
        self.gates = nn.ModuleDict(
            {
                f"{unit}_{index}": HardConcrete(size, drop_rates[unit])
                for unit in units
                for index, size in enumerate(sizes[unit])
                if size
            }
        )

    @classmethod
    def of(cls, encoder: SSLEncoder, config: PruningConfig) -> HardConcreteGates:
        return cls(encoder.config, config.closing, config.drop_rates, config.reference_seconds)

    def forward(self, encoder: SSLEncoder | None = None) -> Masks:
        """Sampled masks in training, deterministic ones in evaluation."""
        return self._collect(HardConcrete.sample if self.training else HardConcrete.mask)

    def masks(self, encoder: SSLEncoder | None = None) -> Masks:
        """The deterministic masks of evaluation."""
        return self._collect(HardConcrete.mask)

    def open_values(self, encoder: SSLEncoder | None = None) -> Masks:
        """The deterministic masks if no unit were closed."""
        return self._collect(HardConcrete.open_value)

    # What a gate multiplies by and its probability of being open grow together.
    ranking = open_values

    def open_probabilities(self, encoder: SSLEncoder | None = None) -> Masks:
        """P(open) of every unit, in the shape of masks."""
        return self._collect(HardConcrete.open_probability)

    def _collect(self, value: Callable[[HardConcrete], Tensor]) -> Masks:
        return Masks(
            **{
                unit: tuple(self._value(unit, index, value) for index in range(count))
                for unit, count in self.num_layers.items()
            }
        )

    def _value(self, unit: str, index: int, value: Callable[[HardConcrete], Tensor]):
        name = f"{unit}_{index}"
        if name not in self.gates:
            return None
        values = value(cast(HardConcrete, self.gates[name]))
        return values.squeeze(0) if unit.endswith("_layer") else values
