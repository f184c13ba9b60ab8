"""The kinds of gates, by the name that configs call them by."""

from __future__ import annotations

from espnet_prune.pruning.gates import Gates
from espnet_prune.pruning.hard_concrete_gates import HardConcreteGates
from espnet_prune.pruning.pinched_units import PinchedUnits
from espnet_prune.pruning.pinched_weights import PinchedWeights

GATES: dict[str, tuple[type[Gates], ...]] = {
    "hard_concrete": (HardConcreteGates,),
    "self_pinching": (PinchedWeights, PinchedUnits),
}
"""Of several kinds under one name, the units that are to close tell which is meant."""


def units_of(gate: str) -> tuple[str, ...]:
    """Everything that some kind of ``gate`` can close."""
    return tuple(unit for kind in GATES[gate] for unit in kind.units)


def kind_of(gate: str, units: tuple[str, ...]) -> type[Gates] | None:
    """The kind of ``gate`` that closes all of ``units``; None if there is none."""
    return next((kind for kind in GATES[gate] if set(units) <= set(kind.units)), None)
