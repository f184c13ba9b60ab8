"""What a model's history tells of a cut: what was asked for, what came of it, what was there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from espnet_prune.encoder import SSLEncoder, unit_sizes
from espnet_prune.history import Step, new_step
from espnet_prune.pruning.budgets import count_costs

if TYPE_CHECKING:
    from espnet_prune.pruning.pruner import Pruner

UNITS = ("conv", "head", "ffn")


def applied_step(pruner: Pruner, before: SSLEncoder, after: SSLEncoder, round_to: int) -> Step:
    """The step from one encoder to the other; its units are how many each layer had before."""
    config = pruner.config
    costs = count_costs(after.config, config.reference_seconds)
    limits = pruner.limits.items()
    reached = {name: limit.sparsity(costs.by(limit.held)) for name, limit in limits}
    if pruner.gates.sparse:  # what is closed stays, as zeros
        sizes = [(int(p.count_nonzero()), p.numel()) for p in after.parameters()]
        kept, all_ = map(sum, zip(*sizes, strict=True))
        reached = {"total": 1 - kept / all_}
    rounded = {name: round(float(value), 4) for name, value in reached.items()}
    units = unit_sizes(before.config)
    return new_step(
        "applied",
        gate=config.gate,
        closed=list(config.closing),
        budget=config.budget,
        target=config.target,
        reached=rounded.get("total", rounded),
        round_to=None if round_to == 1 else round_to,
        **{unit: list(units[unit]) for unit in UNITS},
    )
