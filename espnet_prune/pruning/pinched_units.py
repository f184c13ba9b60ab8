"""Self-pinching gates on units: a threshold on the weights' size per layer, a smaller model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, cast

from torch import Tensor, nn

from espnet_prune.encoder import Masks, SSLEncoder, unit_sizes
from espnet_prune.encoder.typed import ConfigError, check_name
from espnet_prune.pruning.gates import UnitGates
from espnet_prune.pruning.self_pinching import SelfPinching

if TYPE_CHECKING:
    from espnet_prune.pruning.config import PruningConfig


class Unit(NamedTuple):
    """What one self-pinching gate compares with its threshold.

    Attributes:
        mask: the kind of :class:`~espnet_prune.encoder.Masks` that it closes.
        weight: name of the weights, with the number of the layer in braces.
        split: the weights of each of n units, ``(n, ...)``, out of the whole and n.
    """

    mask: str
    weight: str
    split: Callable[[Tensor, int], Tensor]


def _rows(weight: Tensor, _: int) -> Tensor:
    return weight.flatten(1)


def _columns(weight: Tensor, _: int) -> Tensor:
    return weight.t()


def _blocks(weight: Tensor, count: int) -> Tensor:
    return weight.view(weight.size(0), count, -1).transpose(0, 1).flatten(1)


UNITS = {
    "channel": Unit("conv", "front_end.conv_layers.{}.conv.weight", _rows),
    "head": Unit("head", "layers.{}.attention.out_proj.weight", _blocks),
    "row": Unit("ffn", "layers.{}.feed_forward.fc1.weight", _rows),
    "column": Unit("ffn", "layers.{}.feed_forward.fc2.weight", _columns),
}
"""What may close, by name; a new one is a line here."""


class _Layer(NamedTuple):
    """One gated layer: the name of its gate, what it closes, its number, how many it has."""

    name: str
    unit: Unit
    number: int
    size: int


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

    Example:
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.pruning import PinchedUnits
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> gates = PinchedUnits(encoder, units=("head", "row"))
        >>> masks = gates(encoder)
        >>> masks.head[0].shape, masks.ffn[0].shape
        (torch.Size([6]), torch.Size([1536]))
    """

    units = tuple(UNITS)
    default_units = ("head", "row")

    def __init__(
        self,
        encoder: SSLEncoder,
        units: tuple[str, ...],
        temperature: float = 0.1,
        seconds: float = 1.0,
    ):
        for unit in units:
            check_name("units of self_pinching", unit, UNITS)
        self.check(units)
        super().__init__(encoder.config, tuple(UNITS[unit].mask for unit in units), seconds)
        self.closing = units
        self.gates = nn.ModuleDict()
        for layer in self._layers():
            scores = _scores(encoder, layer)
            self.gates[layer.name] = SelfPinching(scores, scores.min(), temperature)

    @classmethod
    def check(cls, units: tuple[str, ...]) -> None:
        if len({UNITS[unit].mask for unit in units}) < len(units):
            raise ConfigError(
                f"expected row or column, which both close FFN units, found {list(units)}"
            )

    @classmethod
    def of(cls, encoder: SSLEncoder, config: PruningConfig) -> PinchedUnits:
        return cls(encoder, config.closing, config.temperature, config.reference_seconds)

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
        for name in self.closing:
            for index, size in enumerate(unit_sizes(self.config)[UNITS[name].mask]):
                if size:
                    yield _Layer(f"{name}_{index}", UNITS[name], index, size)

    def _collect(
        self, encoder: SSLEncoder, value: Callable[[SelfPinching, Tensor], Tensor]
    ) -> Masks:
        values: dict[str, list[Tensor | None]] = {
            kind: [None] * len(sizes) for kind, sizes in unit_sizes(self.config).items()
        }
        for layer in self._layers():
            gate = cast(SelfPinching, self.gates[layer.name])
            values[layer.unit.mask][layer.number] = value(gate, _scores(encoder, layer))
        return Masks(**{kind: tuple(each) for kind, each in values.items()})


def _scores(encoder: SSLEncoder, layer: _Layer) -> Tensor:
    """Root mean square of the weights of each unit of a layer ``(n,)``."""
    weight = encoder.get_parameter(layer.unit.weight.format(layer.number))
    return layer.unit.split(weight, layer.size).square().mean(1).clamp(min=1e-20).sqrt()
