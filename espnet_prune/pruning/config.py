"""How an encoder is pruned: gate, units, budget, and the rates of what learns them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from espnet_prune.encoder import SSLConfig
from espnet_prune.encoder.typed import ConfigError, check_name, read_typed, settle_types
from espnet_prune.pruning.budgets import BUDGETS, Held, Limit, count_costs
from espnet_prune.pruning.exits import ExitGates
from espnet_prune.pruning.gates import Gates
from espnet_prune.pruning.hard_concrete import DROP_RATES, HardConcreteGates
from espnet_prune.pruning.magnitude import MagnitudeGates
from espnet_prune.pruning.pinched_units import PinchedUnits
from espnet_prune.pruning.pinched_weights import PinchedWeights
from espnet_prune.pruning.schedules import LEAST_RATE, SCHEDULES, rates

GATES: dict[str, tuple[type[Gates], ...]] = {
    "hard_concrete": (HardConcreteGates,),
    "self_pinching": (PinchedWeights, PinchedUnits),
    "magnitude": (MagnitudeGates,),
    "exit": (ExitGates,),
}
"""Kinds of gates by name; of several, the units that are to close tell which is meant."""


@dataclass(frozen=True)
class PruningConfig:
    """How an encoder is pruned.

    Attributes:
        target: sparsity to reach, a fraction, or what the budget says; for ``separate`` a mapping
            with one for the ``front_end`` and one for the ``transformer``. None beside several.
        warmup_steps: steps over which the target rises from 0; None: the share ``warmup`` of all.
        gate: ``hard_concrete`` (Louizos et al., 2018), ``self_pinching``, one learnable threshold
            per layer (after Xu et al., 2025; see :class:`~espnet_prune.pruning.SelfPinching`), or
            two that learn nothing: ``magnitude`` closes the smallest units at once, ``exit`` all
            layers above the deepest that every budget allows.
        units: what may close, of the ``units`` of the gate's kinds in :data:`.GATES`. None:
            ``conv``, ``head``, ``ffn``; for self-pinching ``weight``.
        budget: what the target limits, of :data:`.BUDGETS`: ``params``, the parameters of the
            encoder; ``separate``, those of front end and Transformer, each with multipliers of
            its own; ``macs`` (HJ-Pruning-Size, -SepSize and -MAC of Peng et al., 2023);
            ``memory`` in MB, ``latency`` in ms. Several at once: a mapping of names to targets,
            each of which is a bound, and the tightest is met.
        budget_conf: options of budgets, by their names.
        reference_seconds: input length at which MACs, memory and latency are counted.
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
        schedule: how the target rises, of :data:`.SCHEDULES`. With it, or without
            ``warmup_steps``, the ramp, the rates and ``lambda2`` follow from the number of steps
            unless they are given; else the rates are 0.02 and ``lambda2`` 0.
        warmup: share of the run over which the target rises.
        total_steps: steps of the run; ESPnet's trainings fill it in.

    Raises:
        ConfigError: a value of another type, out of range or that is not one of the choices, or a
            target without its budget.

    Example:
        >>> from espnet_prune.pruning import PruningConfig
        >>> PruningConfig(target=0.75, warmup_steps=1000).units
        ('conv', 'head', 'ffn')
        >>> targets = {"front_end": 0.5, "transformer": 0.8}
        >>> PruningConfig(targets, warmup_steps=1000, budget="separate").targets["separate"]
        {'front_end': 0.5, 'transformer': 0.8}
        >>> PruningConfig(0.8, total_steps=350).gate_lr  # so that it needs no tuning
        0.2
    """

    target: float | Mapping[str, float] | None = None
    warmup_steps: int | None = None
    gate: str = "hard_concrete"
    units: tuple[str, ...] | None = None
    budget: str | Mapping[str, float | Mapping[str, float]] = "params"
    reference_seconds: float = 1.0
    drop_rates: Mapping[str, float] = field(default_factory=dict)
    temperature: float = 0.1
    tolerance: float = 0.005
    gate_lr: float | None = None
    multiplier_lr: float | None = None
    lambda2: float | None = None
    budget_conf: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    schedule: str | None = None
    warmup: float = 0.45
    total_steps: int | None = None

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
        kind.check(self.closing, tuple(each.measure for each in held.values()))
        _ = self.targets
        self._check_ranges()
        self._settle_rates()

    def _check_ranges(self) -> None:
        fractions = {f"drop_rates of {unit}": rate for unit, rate in self.drop_rates.items()}
        fractions["warmup"] = self.warmup
        wrong = [f"{name} between 0 and 1, found {x}" for name, x in fractions.items()
                 if not 0 < x < 1]  # fmt: skip
        given = {name: value for name, value in vars(self).items() if value is not None}
        for name in ("reference_seconds", "temperature", "gate_lr", "multiplier_lr", "total_steps"):
            if not given.get(name, 1) > 0:
                wrong.append(f"{name} above 0, found {given[name]}")
        for name in ("warmup_steps", "tolerance", "lambda2"):
            if not given.get(name, 0) >= 0:
                wrong.append(f"{name} of 0 or more, found {given[name]}")
        if wrong:
            raise ConfigError("expected " + "; ".join(wrong))

    def _settle_rates(self) -> None:
        """What was not given: as in versions before, or by the steps of the run once known."""
        derived: dict[str, Any] = {"schedule": self.schedule or "linear"}
        check_name("a schedule", derived["schedule"], SCHEDULES)
        if self.schedule is None and self.warmup_steps is not None:
            derived = dict.fromkeys(("gate_lr", "multiplier_lr"), LEAST_RATE) | {"lambda2": 0.0}
        elif self.total_steps is not None:
            derived |= rates(self.total_steps, self.kind.travel)
            derived["warmup_steps"] = round(self.warmup * self.total_steps)
        for name, value in derived.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

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
    def held(self) -> dict[str, Held]:
        """What the budgets limit, by their names."""
        names = [self.budget] if isinstance(self.budget, str) else list(self.budget)
        for name in names or [""]:
            check_name("a budget", name, BUDGETS)
        for name in self.budget_conf:
            check_name("budget_conf", name, names)
        conf = {name: self.budget_conf.get(name, {}) for name in names}
        return {
            name: read_typed(BUDGETS[name], conf[name], f"budget_conf {name}") for name in names
        }

    @property
    def targets(self) -> dict[str, dict[str, float]]:
        """The target of each part that each budget holds."""
        if isinstance(self.budget, str):
            wanted = {self.budget: self.target}
        elif self.target is None:
            wanted = dict(self.budget)
        else:
            raise ConfigError(
                f"expected targets in budget {self.budget!r} alone, found target {self.target!r}"
            )
        return {name: BUDGETS[name].targets(name, target) for name, target in wanted.items()}

    def limits(self, encoder: SSLConfig) -> dict[str, Limit]:
        """What is held where, for an encoder that is not pruned yet: by part, or by budget.

        Raises:
            ConfigError: no budget asks for anything.
        """
        costs, held = count_costs(encoder, self.reference_seconds), self.held
        parts = [(name, part) for name, targets in self.targets.items() for part in targets]
        units = [unit for name, part in parts for unit in held[name].parts[part]]
        bounds = self.kind.coarse or len(set(units)) < len(units)
        limits = {}
        for name, part in parts:
            target, dense = self.targets[name][part], costs.by(held[name]).part(part)
            if held[name].unit:
                target = 1 - target * held[name].per_unit / dense
            key = part if len(held) == 1 else name if part == "total" else f"{name}_{part}"
            limits[key] = Limit(held[name], part, dense, target, at_most=bounds)
        if all(limit.target <= 0 for limit in limits.values()):
            now = "; ".join(limit.told(0.0) for limit in limits.values())
            asked = "; ".join(limit.told(limit.target) for limit in limits.values())
            raise ConfigError(f"expected a target below {now}, of the encoder now, found {asked}")
        return limits

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PruningConfig:
        """Read keyword arguments as they stand in YAML; see the class for what is refused."""
        return read_typed(cls, values)
