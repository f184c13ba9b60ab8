"""Gates, masks, cost, budget, apply: how an encoder becomes smaller."""

from espnet_prune.pruning.apply import apply
from espnet_prune.pruning.budget import Budget
from espnet_prune.pruning.cost import (
    Cost,
    count_macs,
    count_params,
    expected_widths,
    masked_widths,
)
from espnet_prune.pruning.gates import Gates
from espnet_prune.pruning.hard_concrete import HardConcrete
from espnet_prune.pruning.pruner import Penalty, Pruner, PruningConfig
from espnet_prune.pruning.rounding import BudgetMissed, round_to_budget

__all__ = [
    "Budget",
    "BudgetMissed",
    "Cost",
    "Gates",
    "HardConcrete",
    "Penalty",
    "Pruner",
    "PruningConfig",
    "apply",
    "count_macs",
    "count_params",
    "expected_widths",
    "masked_widths",
    "round_to_budget",
]
