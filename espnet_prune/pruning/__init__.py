"""Gates, masks, cost, budget, apply: how an encoder becomes smaller."""

from espnet_prune.pruning.apply import apply
from espnet_prune.pruning.budget import Budget
from espnet_prune.pruning.budgets.macs import count_macs
from espnet_prune.pruning.budgets.params import count_params
from espnet_prune.pruning.config import PruningConfig
from espnet_prune.pruning.cost import Cost, expected_widths, masked_widths
from espnet_prune.pruning.exits import ExitGates
from espnet_prune.pruning.factors import factored, prepared
from espnet_prune.pruning.hard_concrete import HardConcrete, HardConcreteGates
from espnet_prune.pruning.magnitude import MagnitudeGates
from espnet_prune.pruning.pinched_units import PinchedUnits
from espnet_prune.pruning.pinched_weights import PinchedWeights
from espnet_prune.pruning.pruner import Penalty, Pruner
from espnet_prune.pruning.rounding import BudgetMissed
from espnet_prune.pruning.self_pinching import SelfPinching, thresholds

__all__ = [
    "Budget",
    "BudgetMissed",
    "Cost",
    "ExitGates",
    "HardConcrete",
    "HardConcreteGates",
    "MagnitudeGates",
    "Penalty",
    "PinchedUnits",
    "PinchedWeights",
    "Pruner",
    "PruningConfig",
    "SelfPinching",
    "apply",
    "count_macs",
    "count_params",
    "expected_widths",
    "factored",
    "masked_widths",
    "prepared",
    "thresholds",
]
