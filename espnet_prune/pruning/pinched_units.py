"""Self-pinching gates on units: a threshold on the weights' size per layer, a smaller model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

from torch import Tensor, nn

from espnet_prune.encoder import Masks, SSLEncoder, unit_sizes
from espnet_prune.encoder.typed import check_name
from espnet_prune.pruning.gates import UnitGates
from espnet_prune.pruning.self_pinching import SelfPinching

# The kind of unit that each granularity closes.
_KINDS = {"channel": "conv", "head": "head", "row": "ffn", "column": "ffn"}

_WEIGHTS = {
    "channel": "front_end.conv_layers.{}.conv.weight",
    "head": "layers.{}.attention.out_proj.weight",
    "row": "layers.{}.feed_forward.fc1.weight",
    "column": "layers.{}.feed_forward.fc2.weight",
}


class _Layer(NamedTuple):
    """One gated layer: the name of its gate, the kind and number of its mask, its granularity."""

    name: str
    kind: str
    number: int
    unit: str


class PinchedUnits(UnitGates):
    """One threshold per layer and granularity, on the root mean square of each unit's weights.

    A unit is a filter of a convolution (``channel``), a head's block of the output projection
    (``head``), a row of the FFN's first matrix (``row``) or a column of its second (``column``).

    Args:
        encoder: is gated; its weights of now set the thresholds' scales.
        units: of ``channel``, ``head``, and ``row`` or ``column``.
        temperature: see :class:`~espnet_prune.pruning.SelfPinching`.
        seconds: the reference length of MACs.

    Raises:
        ConfigError: an unknown kind of unit.
    """

    def __init__(
        self,
        encoder: SSLEncoder,
        units: tuple[str, ...],
        temperature: float = 0.1,
        seconds: float = 1.0,
    ):
        for unit in units:
            check_name("units of self_pinching", unit, _KINDS)
        super().__init__(encoder.config, tuple(_KINDS[unit] for unit in units), seconds)
        self.units = units
        self.gates = nn.ModuleDict()
        for layer in self._layers():
            scores = _scores(encoder, layer)
            self.gates[layer.name] = SelfPinching(scores, scores.min(), temperature)

    def forward(self, encoder: SSLEncoder) -> Masks:
        """The masks, 0 or 1, differentiable straight through."""
        return self._collect(encoder, lambda gate, scores: gate(scores))

    masks = open_probabilities = forward

    def open_values(self, encoder: SSLEncoder) -> Masks:
        """Ones."""
        return self._collect(encoder, lambda gate, scores: scores.new_ones(scores.shape))

    def ranking(self, encoder: SSLEncoder) -> Masks:
        """How far above its threshold each unit is, in units of the threshold's scale."""
        return self._collect(encoder, lambda gate, scores: gate.margin(scores))

    def _layers(self) -> Iterator[_Layer]:
        for unit in self.units:
            for index, size in enumerate(unit_sizes(self.config)[_KINDS[unit]]):
                if size:
                    yield _Layer(f"{unit}_{index}", _KINDS[unit], index, unit)

    def _collect(
        self, encoder: SSLEncoder, value: Callable[[SelfPinching, Tensor], Tensor]
    ) -> Masks:
        values: dict[str, list[Tensor | None]] = {
            kind: [None] * len(sizes) for kind, sizes in unit_sizes(self.config).items()
        }
        for layer in self._layers():
            gate = cast(SelfPinching, self.gates[layer.name])
            values[layer.kind][layer.number] = value(gate, _scores(encoder, layer))
        return Masks(**{kind: tuple(each) for kind, each in values.items()})


def _scores(encoder: SSLEncoder, layer: _Layer) -> Tensor:
    """Root mean square of the weights of each unit of a layer ``(n,)``."""
    return _unit_weights(encoder, layer).square().mean(1).clamp(min=1e-20).sqrt()


def _unit_weights(encoder: SSLEncoder, layer: _Layer) -> Tensor:
    """The weights ``(n, ...)`` of each of n units, flattened to two axes."""
    weight = encoder.get_parameter(_WEIGHTS[layer.unit].format(layer.number))
    if layer.unit in ("channel", "row"):
        return weight.flatten(1)
    if layer.unit == "column":
        return weight.t()
    heads = len(encoder.config.layers[layer.number].heads)
    return weight.view(weight.size(0), heads, -1).transpose(0, 1).flatten(1)
