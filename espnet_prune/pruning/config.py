"""How an encoder is pruned: gate, units, budget, and the rates of what learns them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from espnet_prune.encoder.typed import ConfigError, check_name, read_typed, settle_types
from espnet_prune.pruning.budget import BUDGETS, Held
from espnet_prune.pruning.gates import Gates
from espnet_prune.pruning.hard_concrete import DROP_RATES, HardConcreteGates
from espnet_prune.pruning.magnitude import MagnitudeGates
from espnet_prune.pruning.pinched_units import PinchedUnits
from espnet_prune.pruning.pinched_weights import PinchedWeights

GATES: dict[str, tuple[type[Gates], ...]] = {
    "hard_concrete": (HardConcreteGates,),
    "self_pinching": (PinchedWeights, PinchedUnits),
    "magnitude": (MagnitudeGates,),
}
"""Kinds of gates by name; of several, the units that are to close tell which is meant."""


@dataclass(frozen=True)
class PruningConfig:
    """How an encoder is pruned.

    Attributes:
        target: sparsity to reach, a fraction; for ``separate`` a mapping with one for the
            ``front_end`` and one for the ``transformer``.
        warmup_steps: steps over which the target rises from 0.
        gate: ``hard_concrete`` (Louizos et al., 2018), ``self_pinching``, one learnable threshold
            per layer (after Xu et al., 2025; see :class:`~espnet_prune.pruning.SelfPinching`), or
            ``magnitude``, which closes the smallest units at once and learns nothing.
        units: what may close, of the ``units`` of the gate's kinds in :data:`.GATES`. None:
            ``conv``, ``head``, ``ffn``; for self-pinching ``weight``.
        budget: what the target limits: ``params``, the parameters of the encoder; ``separate``,
            those of front end and Transformer, each with multipliers of its own; ``macs``
            (HJ-Pruning-Size, -SepSize and -MAC of Peng et al., 2023).
        reference_seconds: input length at which MACs are counted.
        drop_rates: initial drop rate per kind, where it differs from DPHuBERT's (hard concrete).
        temperature: softness of a threshold's gradient, in standard deviations of what it is
            compared with (self-pinching).
        tolerance: allowed distance of the applied model from the target (absolute sparsity).
        gate_lr, multiplier_lr: learning rates of the gates and of the multipliers. Adam moves a
            gate by at most its rate per step and log alpha has some 7 to travel, so a schedule of
            n steps needs rates well above 7 / n.
        lambda2: where the quadratic term's multiplier starts; 0 in the papers. In a short schedule
            lambda1 alone winds up during the ramp and overshoots; some hundreds keep the sparsity
            close to its target from the start.

    Raises:
        ConfigError: a value of another type, out of range or that is not one of the choices, or a
            target without its budget.

    Example:
        >>> from espnet_prune.pruning import PruningConfig
        >>> PruningConfig(target=0.75, warmup_steps=1000).units
        ('conv', 'head', 'ffn')
        >>> targets = {"front_end": 0.5, "transformer": 0.8}
        >>> PruningConfig(targets, warmup_steps=1000, budget="separate").targets == targets
        True
    """

    target: float | Mapping[str, float]
    warmup_steps: int
    gate: str = "hard_concrete"
    units: tuple[str, ...] | None = None
    budget: str = "params"
    reference_seconds: float = 1.0
    drop_rates: Mapping[str, float] = field(default_factory=dict)
    temperature: float = 0.1
    tolerance: float = 0.005
    gate_lr: float = 2e-2
    multiplier_lr: float = 2e-2
    lambda2: float = 0.0

    def __post_init__(self) -> None:
        settle_types(self)
        kind, held = self.kind, self.held
        known = [unit for each in GATES[self.gate] for unit in each.units]
        for unit in self.closing:
            check_name(f"units of {self.gate}", unit, known)
        for unit in self.drop_rates:
            check_name("drop_rates", unit, DROP_RATES)
        if not self.units:
            object.__setattr__(self, "units", kind.default_units)
        kind.check(self.closing, held.measure)
        self._check_target()
        self._check_ranges()

    def _check_target(self) -> None:
        parts = self.held.parts
        single = parts == ("total",)
        if single == isinstance(self.target, Mapping) or set(self.targets) != set(parts):
            example = ", ".join(f"{part}: 0.5" for part in parts)
            each = f"a target for each of {list(parts)}, e.g. {{{example}}},"
            raise ConfigError(
                f"expected {'one target' if single else each} for {self.budget}, "
                f"found {self.target!r}"
            )

    def _check_ranges(self) -> None:
        fractions = {f"target of {part}": target for part, target in self.targets.items()}
        fractions |= {f"drop_rates of {unit}": rate for unit, rate in self.drop_rates.items()}
        wrong = [f"{name} between 0 and 1, found {x}" for name, x in fractions.items()
                 if not 0 < x < 1]  # fmt: skip
        for name in ("reference_seconds", "temperature", "gate_lr", "multiplier_lr"):
            if not getattr(self, name) > 0:
                wrong.append(f"{name} above 0, found {getattr(self, name)}")
        for name in ("warmup_steps", "tolerance", "lambda2"):
            if not getattr(self, name) >= 0:
                wrong.append(f"{name} of 0 or more, found {getattr(self, name)}")
        if wrong:
            raise ConfigError("expected " + "; ".join(wrong))

    @property
    def kind(self) -> type[Gates]:
        """The gates meant by ``gate`` and ``units``."""
        check_name("a gate", self.gate, GATES)
        kinds = GATES[self.gate]
        return next((kind for kind in kinds if {*self.closing} & {*kind.units}), kinds[0])

    @property
    def closing(self) -> tuple[str, ...]:
        """The units that may close."""
        return self.units or ()

    @property
    def held(self) -> Held:
        """What the budget limits."""
        check_name("a budget", self.budget, BUDGETS)
        return BUDGETS[self.budget]

    @property
    def targets(self) -> dict[str, float]:
        """The final sparsity of each part that is held at one of its own."""
        return dict(self.target) if isinstance(self.target, Mapping) else {"total": self.target}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PruningConfig:
        """Read keyword arguments as they stand in YAML; see the class for what is refused."""
        return read_typed(cls, values)
