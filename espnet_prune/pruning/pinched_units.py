"""Self-pinching gates on units: a threshold on the weights' size per layer, a smaller model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, cast

from torch import Tensor, nn

from espnet_prune.encoder import Masks, SSLEncoder, unit_sizes
from espnet_prune.encoder.linear import Linear
from espnet_prune.encoder.masks import make_masks
from espnet_prune.encoder.typed import ConfigError
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

    def scores(self, encoder: SSLEncoder, layer: int, size: int) -> Tensor:
        """Root mean square of the weights of each of the layer's ``size`` units ``(n,)``."""
        name, _, tensor = self.weight.format(layer).rpartition(".")
        module = encoder.get_submodule(name)
        if isinstance(module, Linear) and tensor == "weight":
            weight = module.whole()
        else:
            weight = getattr(module, tensor)
        return self.split(weight, size).square().mean(1).clamp(min=1e-20).sqrt()


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


class PinchedUnits(UnitGates):
    """One threshold per layer and granularity, on the root mean square of each unit's weights.

    A unit is a filter of a convolution (``channel``), a head's block of the output projection
    (``head``), a row of the FFN's first matrix (``row``) or a column of its second (``column``).

    The weights of the ``encoder`` now set the thresholds' scales; ``seconds`` are the reference
    length of MACs.

    Example:
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.pruning import PinchedUnits
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> masks = PinchedUnits(encoder, units=("head", "row"))(encoder)
        >>> masks.head[0].shape, masks.ffn[0].shape
        (torch.Size([6]), torch.Size([1536]))
    """

    units = tuple(UNITS)
    default_units = ("head", "row")
    travel = 30.0

    def __init__(
        self,
        encoder: SSLEncoder,
        units: tuple[str, ...],
        temperature: float = 0.1,
        seconds: float = 1.0,
    ):
        self.check(units)
        super().__init__(encoder.config, tuple(UNITS[unit].mask for unit in units), seconds)
        self.gates = nn.ModuleDict()
        for name in units:
            for index, size in enumerate(unit_sizes(encoder.config)[UNITS[name].mask]):
                if size:
                    scores = UNITS[name].scores(encoder, index, size)
                    gate = SelfPinching(scores, scores.min(), temperature)
                    self.gates[f"{name}_{index}"] = gate
        self.names = {UNITS[name].mask: name for name in units}

    @classmethod
    def check(cls, units: tuple[str, ...], measures: tuple[str, ...] = ("params",)) -> None:
        super().check(units, measures)
        if len({UNITS[unit].mask for unit in units}) < len(units):
            raise ConfigError(
                f"expected row or column, which both close FFN units, found {list(units)}"
            )

    @classmethod
    def of(cls, encoder: SSLEncoder, config: PruningConfig) -> PinchedUnits:
        return cls(encoder, config.closing, config.temperature, config.reference_seconds)

    def forward(self, encoder: SSLEncoder) -> Masks:
        return self._collect(encoder, SelfPinching.__call__)

    masks = open_probabilities = forward

    def open_values(self, encoder: SSLEncoder) -> Masks:
        return self._collect(encoder, lambda gate, scores: scores.new_ones(scores.shape))

    def ranking(self, encoder: SSLEncoder) -> Masks:
        return self._collect(encoder, SelfPinching.margin)

    def _collect(
        self, encoder: SSLEncoder, value: Callable[[SelfPinching, Tensor], Tensor]
    ) -> Masks:
        def of_layer(kind: str, index: int, size: int) -> Tensor | None:
            if kind not in self.names or not size:
                return None
            name = self.names[kind]
            gate = cast(SelfPinching, self.gates[f"{name}_{index}"])
            return value(gate, UNITS[name].scores(encoder, index, size))

        return make_masks(self.config, of_layer)
