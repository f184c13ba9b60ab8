"""Budgets: what may be limited, one file each."""

from espnet_prune.pruning.budgets.costs import Costs, count_costs
from espnet_prune.pruning.budgets.held import Held, Limit, Limits
from espnet_prune.pruning.budgets.latency import Latency
from espnet_prune.pruning.budgets.macs import MACs
from espnet_prune.pruning.budgets.memory import Memory
from espnet_prune.pruning.budgets.params import Params
from espnet_prune.pruning.budgets.separate import Separate

BUDGETS: dict[str, type[Held]] = {
    "params": Params,
    "separate": Separate,
    "macs": MACs,
    "memory": Memory,
    "latency": Latency,
}
"""Budgets by name; a new one is a file and a line."""

__all__ = ["BUDGETS", "Costs", "Held", "Limit", "Limits", "count_costs"]
