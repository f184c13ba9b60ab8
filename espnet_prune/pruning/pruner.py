"""Gates and budget of one encoder under one configuration: all that a training adds to its loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, nn

from espnet_prune.pruning.budget import Budget, Measure
from espnet_prune.pruning.cost import count_macs, count_params, expected_widths
from espnet_prune.pruning.gates import Gates
from espnet_prune.pruning.rounding import round_to_budget
from espnet_prune.ssl import ConfigError, Masks, SSLConfig


@dataclass(frozen=True)
class PruningConfig:
    """How an encoder is pruned.

    Attributes:
        target: sparsity to reach, a fraction.
        warmup_steps: steps over which the target rises from 0.
        units: the kinds of units that may close.
        drop_rates: initial drop rate per kind, where it differs from DPHuBERT's.
        measure: what the target limits, ``params`` or ``macs``.
        reference_seconds: input length at which MACs are counted.
        tolerance: allowed distance of the applied model from the target (absolute sparsity).
        gate_lr, multiplier_lr: learning rates of the gates and of the multipliers. Adam moves a
            gate by at most its rate per step and log alpha has some 7 to travel, so a schedule of
            n steps needs rates well above 7 / n.
        lambda2: where the quadratic term's multiplier starts; 0 in the papers. In a short schedule
            lambda1 alone winds up during the ramp and overshoots; some hundreds keep the sparsity
            close to its target from the start.
    """

    target: float
    warmup_steps: int
    units: tuple[str, ...] = ("conv", "head", "ffn")
    drop_rates: Mapping[str, float] = field(default_factory=dict)
    measure: Measure = "params"
    reference_seconds: float = 1.0
    tolerance: float = 0.005
    gate_lr: float = 2e-2
    multiplier_lr: float = 2e-2
    lambda2: float = 0.0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PruningConfig:
        """Read keyword arguments as they stand in YAML.

        Raises:
            ConfigError: an unknown or missing key.
        """
        try:
            config = cls(**values)
        except TypeError as error:
            raise ConfigError(f"this is no pruning configuration: {error}") from error
        return cls(**{**vars(config), "units": tuple(config.units)})


class Penalty(NamedTuple):
    """What pruning adds to the loss, ``()``, and what it reports."""

    loss: Tensor
    stats: dict[str, Tensor]


class Pruner(nn.Module):
    """The gates of an encoder, held to a budget."""

    def __init__(self, encoder: SSLConfig, config: PruningConfig):
        super().__init__()
        self.config = config
        self.gates = Gates(encoder, config.units, config.drop_rates)
        self.budget = Budget(
            encoder,
            config.target,
            config.warmup_steps,
            config.measure,
            config.reference_seconds,
            config.tolerance,
            config.lambda2,
        )

    def masks(self) -> Masks:
        """Masks for one forward pass: sampled in training, deterministic in evaluation."""
        return self.gates()

    def penalty(self) -> Penalty:
        """The Lagrangian term at the present gates; in training, the ramp moves on by a step."""
        encoder = self.budget.config
        widths = expected_widths(encoder, self.gates.open_probabilities())
        sparsity = self.budget.sparsity(widths)
        loss = self.budget.penalty(sparsity)
        stats = {
            "sparsity": sparsity,
            "target_sparsity": self.budget.current_target(),
            "lambda1": self.budget.lambda1,
            "lambda2": self.budget.lambda2,
            "expected_params": count_params(encoder, widths).total,
            "expected_macs": count_macs(encoder, self.config.reference_seconds, widths).total,
        }
        if self.training:
            self.budget.advance()
        return Penalty(loss, {name: value.detach().clone() for name, value in stats.items()})

    def final_masks(self) -> Masks:
        """The masks to apply, on target.

        Raises:
            BudgetMissed: training ended away from the target.
        """
        return round_to_budget(self.gates, self.budget)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Optimizer groups: gates descend, multipliers ascend."""
        return [
            {
                "params": list(self.gates.parameters()),
                "lr": self.config.gate_lr,
                "weight_decay": 0.0,
            },
            {
                "params": list(self.budget.parameters()),
                "lr": self.config.multiplier_lr,
                "weight_decay": 0.0,
                "maximize": True,
            },
        ]
