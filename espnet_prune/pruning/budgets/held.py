"""What a budget is: a cost that can be counted, its parts, and the units of its target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from espnet_prune.encoder import SSLConfig
from espnet_prune.encoder.families.base import Number
from espnet_prune.encoder.typed import ConfigError
from espnet_prune.pruning.cost import Cost, Widths

EVERY = ("head", "conv", "ffn", "rank")
"""The units that bring a cost to its target: whole heads before what is finer."""


class Held(ABC):
    """What a budget limits; a new budget is a subclass in a file, and a line of :data:`.BUDGETS`.

    A subclass is a frozen dataclass, whose fields are the options in ``budget_conf``.

    Attributes:
        measure: what is counted, for readers and for gates that save only some of it.
        parts: what may have a target, and the units that bring it there; a single number is the
            target of ``total``, a mapping has one for each of the others.
        unit: of targets, say ``ms``; empty where they are sparsities.
        per_unit: the counted cost of one ``unit``.
    """

    measure: ClassVar[str]
    parts: ClassVar[Mapping[str, tuple[str, ...]]] = {"total": EVERY}
    unit: ClassVar[str] = ""
    per_unit: ClassVar[float] = 1.0

    @abstractmethod
    def count(self, config: SSLConfig, seconds: float, widths: Widths | None = None) -> Cost:
        """The cost of ``config`` at ``widths`` (None: as it is built) for ``seconds`` of input."""

    @classmethod
    def targets(cls, budget: str, target: float | Mapping[str, float] | None) -> dict[str, float]:
        """``target`` by part, or a ConfigError that says what this ``budget`` expects."""
        own = [part for part in cls.parts if part != "total"]
        given = dict(target) if isinstance(target, Mapping) else {"total": target or 0.0}
        wanted = [["total"]] * ("total" in cls.parts) + [own] * bool(own)
        if target is None or sorted(given) not in map(sorted, wanted):
            example = ", ".join(f"{part}: 0.5" for part in own)
            each = f"a target for each of {own}, e.g. {{{example}}},"
            expected = " or ".join(["one target"] * ("total" in cls.parts) + [each] * bool(own))
            raise ConfigError(f"target: expected {expected} for {budget}, found {target!r}")
        highest = float("inf") if cls.unit else 1
        for part, value in given.items():
            if not 0 < value < highest:
                limits = f"above 0 ({cls.unit})" if cls.unit else "between 0 and 1"
                raise ConfigError(f"expected target of {part} {limits}, found {value}")
        return given


class Limit(NamedTuple):
    """One part of one cost, and where it is held.

    Attributes:
        held: the cost.
        part: of it.
        dense: that cost when nothing is closed.
        target: the sparsity to reach, 1 - cost / dense.
        at_most: whether more sparsity will do as well: others are held by the same units, or these
            are whole layers.
    """

    held: Held
    part: str
    dense: float
    target: float
    at_most: bool

    def sparsity(self, cost: Cost) -> Number:
        """What ``cost`` saves of this part, a fraction; differentiable where the cost is."""
        return 1 - cost.part(self.part) / self.dense

    def told(self, sparsity: float) -> str:
        """A ``sparsity`` for readers, in the units of the target."""
        if not self.held.unit:
            return f"sparsity {sparsity:.1%} ({self.part})"
        amount = (1 - sparsity) * self.dense / self.held.per_unit
        return f"{self.held.measure} of {amount:.4g} {self.held.unit} ({self.part})"


Limits = Mapping[str, Limit]
"""What is held where, by part or by budget."""
