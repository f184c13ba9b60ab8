"""The costs of one encoder under any budget, each counted when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from espnet_prune.encoder import SSLConfig
from espnet_prune.pruning.budgets.held import Held
from espnet_prune.pruning.budgets.macs import MACs
from espnet_prune.pruning.budgets.params import Params
from espnet_prune.pruning.cost import Cost, Widths


class Costs:
    """The costs of one encoder, each of which ``count`` makes when first asked for."""

    def __init__(self, count: Callable[[Held], Cost]):
        self.by = cache(count)

    @property
    def params(self) -> Cost:
        """Parameters."""
        return self.by(Params())

    @property
    def macs(self) -> Cost:
        """Multiply-accumulates at the reference length."""
        return self.by(MACs())


def count_costs(config: SSLConfig, seconds: float, widths: Widths | None = None) -> Costs:
    """The costs of ``config`` at ``widths`` (None: as it is), for ``seconds`` of input."""
    return Costs(lambda held: held.count(config, seconds, widths))
