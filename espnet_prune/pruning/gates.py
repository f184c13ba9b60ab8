"""What every kind of gate is to a pruner, and what gates on whole units have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from espnet_prune.encoder import EncoderOutput, Masks, SSLConfig, SSLEncoder, open_masks
from espnet_prune.encoder.typed import ConfigError, check_name
from espnet_prune.pruning.apply import apply
from espnet_prune.pruning.budgets import Costs, Limits, count_costs
from espnet_prune.pruning.cost import expected_widths, masked_widths
from espnet_prune.pruning.rounding import (
    close_to,
    open_what_is_free,
    product,
    round_to_budgets,
    round_widths,
)

if TYPE_CHECKING:
    from espnet_prune.pruning.config import PruningConfig


class Gates(nn.Module, ABC):
    """What every kind of gate is to a :class:`~espnet_prune.pruning.Pruner`.

    A new kind is a subclass in a file of its own and a line in :data:`.GATES`.

    Attributes:
        units: what it can close, by the names that configs know.
        default_units: what it closes unless told otherwise.
        sparse: whether what is closed stays, as zeros, instead of being cut away.
        coarse: whether a target is a bound, for want of units that come near it.
        travel: the sum of their learning rates over a run that needs no more.
    """

    units: ClassVar[tuple[str, ...]]
    default_units: ClassVar[tuple[str, ...]]
    sparse: ClassVar[bool] = False
    coarse: ClassVar[bool] = False
    travel: ClassVar[float] = 70.0

    @classmethod
    def check(cls, units: tuple[str, ...], measures: tuple[str, ...] = ("params",)) -> None:
        """Raise ConfigError if ``units`` cannot close together, or save nothing of a measure."""
        for unit in units:
            check_name("units that close together", unit, cls.units)
        if "rank" in units and "latency" in measures:
            raise ConfigError(
                "expected a budget on anything but latency for rank, whose table has no thin maps; "
                "they take longer than units of as many MACs"
            )

    @classmethod
    @abstractmethod
    def of(cls, encoder: SSLEncoder, config: PruningConfig) -> Gates:
        """The gates that ``config`` asks for."""

    @abstractmethod
    def run(self, encoder: SSLEncoder, wavs: Tensor, lengths: Tensor | None) -> EncoderOutput:
        """The gated encoder on waveforms ``(B, T)`` of ``lengths`` ``(B,)`` samples."""

    @abstractmethod
    def costs(self, encoder: SSLEncoder) -> Costs:
        """The expected cost at the present gates, differentiable."""

    @abstractmethod
    def least_costs(self) -> Costs:
        """The cost when every gate is closed."""

    def ranked(self, encoder: SSLEncoder, limits: Limits, seconds: float) -> Gates:
        """Gates that close what these would close first, as much as reaches other ``limits``.

        ``seconds`` are the reference length of MACs.

        Raises:
            ValueError: these have no order.
        """
        raise ValueError("expected gates on whole units for another budget, found single weights")

    @abstractmethod
    def apply_to(
        self, encoder: SSLEncoder, limits: Limits, tolerance: float, round_to: int
    ) -> SSLEncoder:
        """What the gates leave over of ``encoder``, on budget; see :meth:`.Pruner.apply_to`.

        Each of the ``limits`` is met within ``tolerance`` of its target (absolute sparsity); then
        widths are made multiples of ``round_to``.

        Raises:
            BudgetMissed: nothing comes within ``tolerance`` of a target.
            ValueError: widths are to be rounded by gates that leave them alone.
        """


class UnitGates(Gates):
    """Gates that yield masks of whole units, of some ``kinds``, which are cut away.

    ``seconds`` are the reference length of MACs.
    """

    def __init__(self, config: SSLConfig, kinds: tuple[str, ...], seconds: float):
        super().__init__()
        self.config, self.kinds, self.seconds = config, kinds, seconds

    @abstractmethod
    def forward(self, encoder: SSLEncoder) -> Masks:
        """The masks of one forward pass of ``encoder``: in evaluation, deterministic ones."""

    @abstractmethod
    def masks(self, encoder: SSLEncoder) -> Masks:
        """The deterministic masks of evaluation."""

    @abstractmethod
    def open_values(self, encoder: SSLEncoder) -> Masks:
        """The deterministic masks if no unit were closed."""

    @abstractmethod
    def ranking(self, encoder: SSLEncoder) -> Masks:
        """What tells which unit closes first: the lower, the sooner, within a kind."""

    @abstractmethod
    def open_probabilities(self, encoder: SSLEncoder) -> Masks:
        """P(open) of every unit, differentiable, in the shape of masks."""

    def ranked(self, encoder: SSLEncoder, limits: Limits, seconds: float) -> RankedGates:
        return RankedGates(self, encoder, limits, seconds)

    def run(self, encoder: SSLEncoder, wavs: Tensor, lengths: Tensor | None) -> EncoderOutput:
        return encoder(wavs, lengths, self(encoder))

    def costs(self, encoder: SSLEncoder) -> Costs:
        widths = expected_widths(self.config, self.open_probabilities(encoder))
        return count_costs(self.config, self.seconds, widths)

    def least_costs(self) -> Costs:
        closed = open_masks(self.config).map(torch.zeros_like)._asdict()
        # A convolution keeps one channel.
        closed["conv"] = tuple(torch.eye(1, c.channels)[0] for c in self.config.conv_layers)
        masks = Masks(
            **{
                kind: values if kind in self.kinds else (None,) * len(values)
                for kind, values in closed.items()
            }
        )
        return count_costs(self.config, self.seconds, expected_widths(self.config, masks))

    def sparsities(self, masks: Masks, limits: Limits) -> dict[str, float]:
        """What ``masks`` would save of each of the ``limits``, a fraction."""
        costs = count_costs(self.config, self.seconds, masked_widths(self.config, masks))
        return {key: float(limit.sparsity(costs.by(limit.held))) for key, limit in limits.items()}

    @torch.no_grad()
    def apply_to(
        self, encoder: SSLEncoder, limits: Limits, tolerance: float, round_to: int
    ) -> SSLEncoder:
        sparsities = partial(self.sparsities, limits=limits)
        values, ranking = self.open_values(encoder), self.ranking(encoder)
        masks = self.masks(encoder)
        masks = round_to_budgets(masks, values, ranking, sparsities, limits, tolerance)
        masks = open_what_is_free(masks, values, ranking, sparsities)
        masks = round_widths(masks, values, ranking, round_to)
        config, state = apply(self.config, encoder.state_dict(), masks)
        smaller = SSLEncoder(config)
        smaller.load_state_dict(state, strict=True)
        return smaller.eval()


class RankedGates(UnitGates):
    """Gates that close in the order of ``others`` until ``limits`` are reached; none is learned."""

    def __init__(
        self,
        others: UnitGates,
        encoder: SSLEncoder,
        limits: Limits,
        seconds: float,
    ):
        super().__init__(others.config, others.kinds, seconds)
        with torch.no_grad():
            self._ranking, self._values = others.ranking(encoder), others.open_values(encoder)
        self._open = close_to(self._ranking, partial(self.sparsities, limits=limits), limits)

    @classmethod
    def of(cls, encoder: SSLEncoder, config: PruningConfig) -> RankedGates:
        raise ValueError("expected gates to rank, found none; see Pruner.at")

    def forward(self, encoder: SSLEncoder) -> Masks:
        pairs = zip(self._open, self._values, strict=True)
        return Masks(*(tuple(map(product, ours, theirs)) for ours, theirs in pairs))

    masks = forward

    def open_values(self, encoder: SSLEncoder) -> Masks:
        return self._values

    def ranking(self, encoder: SSLEncoder) -> Masks:
        return self._ranking

    def open_probabilities(self, encoder: SSLEncoder) -> Masks:
        return self._open
