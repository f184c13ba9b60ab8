"""How an encoder is pruned: gate, units, budget, and the rates of what learns them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from espnet_prune.encoder.typed import ConfigError, check_name, read_typed, settle_types
from espnet_prune.pruning.budget import BUDGETS, Held
from espnet_prune.pruning.hard_concrete_gates import DROP_RATES
from espnet_prune.pruning.kinds import GATES, kind_of, units_of


@dataclass(frozen=True)
class PruningConfig:
    """How an encoder is pruned.

    Attributes:
        target: sparsity to reach, a fraction; for ``separate`` a mapping with one for the
            ``front_end`` and one for the ``transformer``.
        warmup_steps: steps over which the target rises from 0.
        gate: ``hard_concrete`` (Louizos et al., 2018) or ``self_pinching``, one learnable
            threshold per layer (after Xu et al., 2025; see
            :class:`~espnet_prune.pruning.SelfPinching`).
        units: what may close, whole layers of it or single ones; see :func:`.units_of`. None:
            ``conv``, ``head``, ``ffn`` for hard concrete, ``weight`` for self-pinching.
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
        check_name("a gate", self.gate, GATES)
        check_name("a budget", self.budget, BUDGETS)
        known = units_of(self.gate)
        for unit in self.units or ():
            check_name(f"units of {self.gate}", unit, known)
        for unit in self.drop_rates:
            check_name("drop_rates", unit, DROP_RATES)
        if not self.units:
            object.__setattr__(self, "units", GATES[self.gate][0].default_units)
        kind = kind_of(self.gate, self.closing)
        if kind is None or self.held.measure not in (kind.measures or (self.held.measure,)):
            raise ConfigError(
                "expected weight as the only unit, under a budget on parameters (single weights "
                f"save no computation), found units {list(self.closing)}, budget {self.budget}"
            )
        kind.check(self.closing)
        self._check_targets()
        self._check_ranges()

    def _check_targets(self) -> None:
        parts = self.held.parts
        if parts != ("total",) and not (
            isinstance(self.target, Mapping) and set(self.target) == set(parts)
        ):
            raise ConfigError(
                f"expected a target for each of {list(parts)}, e.g. {{{parts[0]}: 0.5, "
                f"{parts[1]}: 0.5}}, found {self.target!r}"
            )
        if parts == ("total",) and isinstance(self.target, Mapping):
            raise ConfigError(f"expected one target for {self.budget}, found {self.target!r}")

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
        if isinstance(self.target, Mapping):
            return dict(self.target)
        return {"total": self.target}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PruningConfig:
        """Read keyword arguments as they stand in YAML.

        Raises:
            ConfigError: an unknown or missing key, or an impossible value.
        """
        return read_typed(cls, values)
