"""Gates and budgets of one encoder under one configuration: all that a training adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from espnet_prune.encoder import EncoderOutput, SSLEncoder
from espnet_prune.encoder.checks import require_finite
from espnet_prune.encoder.typed import ConfigError, read_typed
from espnet_prune.pruning.applied import applied_step
from espnet_prune.pruning.budget import Budget
from espnet_prune.pruning.budgets import Costs, Limit
from espnet_prune.pruning.config import PruningConfig
from espnet_prune.pruning.gates import Gates
from espnet_prune.pruning.rounding import MOST_ROUNDING, check_converged

# The weight of being off target is far above any difference of losses.
_OFF_TARGET_WEIGHT = 1000.0


class Penalty(NamedTuple):
    """What pruning adds to the loss, and what it reports.

    Attributes:
        loss: the Lagrangian terms ``()``.
        stats: scalars ``()`` by name.
        off_target: ``()``, 0 while the sparsity is near enough to its target to be applied.

    Example:
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.pruning import Pruner, PruningConfig
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> penalty = Pruner(encoder, PruningConfig(target=0.5, warmup_steps=10)).penalty(encoder)
        >>> penalty.stats["target_sparsity"], penalty.off_target  # the target starts to rise
        (tensor(0.), tensor(1.5000))
    """

    loss: Tensor
    stats: dict[str, Tensor]
    off_target: Tensor

    def on_target(self, loss: Tensor) -> Tensor:
        """What epochs are chosen and training is stopped by: a ``loss`` ``()`` on target.

        An epoch that ends while the target rises is worse than any later one, and better than
        those before it, so that patience begins with the target; an epoch whose sparsity is away
        from the target is worse than any on it.
        """
        return loss.detach() + _OFF_TARGET_WEIGHT * self.off_target


class Pruner(nn.Module):
    """The gates of an encoder, held to its budgets; the encoder itself stays outside.

    Raises:
        ValueError: a target that no choice of gates reaches.

    Example:
        >>> import torch
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.pruning import Pruner, PruningConfig
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> pruner = Pruner(encoder, PruningConfig(target=0.5, warmup_steps=1000))
        >>> states, lengths = pruner(encoder, torch.zeros(1, 8000))
        >>> pruner.penalty(encoder).loss.backward()  # beside the loss of a task on the states
        >>> [group["lr"] for group in pruner.parameter_groups()]  # add them to an optimizer's
        [0.02, 0.02]
    """

    gates: Gates

    def __init__(self, encoder: SSLEncoder, config: PruningConfig):
        super().__init__()
        if config.warmup_steps is None or config.gate_lr is None:
            raise ConfigError(
                "expected warmup_steps or total_steps, the steps of the run, found neither; in "
                "ESPnet set num_iters_per_epoch and max_epoch"
            )
        self.config, self.limits = config, config.limits(encoder.config)
        self.gates = config.kind.of(encoder, config)
        least = self.gates.least_costs()
        self.budgets = nn.ModuleDict(
            {key: self._budget(limit, least) for key, limit in self.limits.items()}
        )
        # The share of the whole that each budget rules over: 1 in sum, if they are of one cost.
        whole = sum(limit.dense for limit in self.limits.values())
        self._shares = {key: limit.dense / whole for key, limit in self.limits.items()}

    def _budget(self, limit: Limit, least: Costs) -> Budget:
        config = self.config
        cost = least.by(limit.held).part(limit.part)
        return Budget(
            limit.dense,
            cost,
            limit.target,
            config.warmup_steps or 0,
            config.lambda2 or 0.0,
            limit.at_most,
            config.schedule or "linear",
        )

    def forward(
        self, encoder: SSLEncoder, wavs: Tensor, lengths: Tensor | None = None
    ) -> EncoderOutput:
        """The gated ``encoder`` on waveforms ``(B, T)`` of ``lengths`` ``(B,)`` samples."""
        return self.gates.run(encoder, wavs, lengths)

    def penalty(self, encoder: SSLEncoder) -> Penalty:
        """The Lagrangian terms at the present gates; in training, the ramps move on by a step."""
        costs = self.gates.costs(encoder)
        loss = costs.params.total.new_zeros(())
        stats: dict[str, Tensor] = {}
        reached = {key: limit.sparsity(costs.by(limit.held)) for key, limit in self.limits.items()}
        excess = {key: budget.excess(reached[key]) for key, budget in self.parts()}
        tightest = next(iter(excess))
        if self.limits[tightest].at_most:
            tightest = min(excess, key=lambda key: float(excess[key].detach()))
        off_target = sum(
            (_distance(reached[key].detach(), budget, key == tightest)
             for key, budget in self.parts()), loss.new_zeros(())
        )  # fmt: skip
        stats |= self._whole(costs, reached, tightest)
        for key, budget in self.parts():
            loss = loss + budget.penalty(reached[key], key == tightest or not budget.at_most)
            suffix = "" if key == "total" else f"_{key}"
            stats[f"lambda1{suffix}"] = budget.lambda1
            stats[f"lambda2{suffix}"] = budget.lambda2
            if suffix:
                stats[f"sparsity{suffix}"] = reached[key]
            if self.training:
                budget.advance()
        detached = {
            name: torch.as_tensor(value, dtype=loss.dtype, device=loss.device).detach().clone()
            for name, value in stats.items()
        }
        return Penalty(loss, detached, off_target)

    def _whole(self, costs: Costs, reached: dict[str, Tensor], tightest: str) -> dict[str, Tensor]:
        """Sparsity and target of the one cost that is held, or of the tightest of several."""
        budgets = dict(self.parts())
        limit = self.limits[tightest]
        stats = {"expected_params": costs.params.total, "expected_macs": costs.macs.total}
        for held in {each.held for each in self.limits.values()}:
            if held.unit:
                stats[f"expected_{held.measure}"] = costs.by(held).total / held.per_unit
        if limit.at_most:
            target = budgets[tightest].current_target()
            return stats | {"sparsity": reached[tightest], "target_sparsity": target}
        shares = (self._shares[key] * each.current_target() for key, each in budgets.items())
        target = sum(shares, costs.params.total.new_zeros(()))
        dense = sum(each.dense for each in self.limits.values())
        sparsity = 1 - costs.by(limit.held).total / dense
        return stats | {"sparsity": sparsity, "target_sparsity": target}

    @torch.no_grad()
    def apply_to(self, encoder: SSLEncoder, round_to: int = 1) -> SSLEncoder:
        """What the gates leave over of ``encoder``, on target, in eval mode.

        Closed units are cut away; closed single weights become exact zeros. Then the width of every
        convolution and FFN is made a multiple of ``round_to``, which moves the size off target.

        Raises:
            BudgetMissed: training ended away from a target.
            CheckpointError: a gate is not finite.
        """
        require_finite(self.state_dict(), "the gates")
        costs = self.gates.costs(encoder)
        for limit in self.limits.values():
            check_converged(limit, float(limit.sparsity(costs.by(limit.held))))
        smaller = self.gates.apply_to(encoder, self.limits, self.config.tolerance, round_to)
        smaller.history = (*encoder.history, applied_step(self, encoder, smaller, round_to))
        return smaller

    def at(self, encoder: SSLEncoder, changes: Mapping[str, Any]) -> Pruner:
        """The same gates under another budget: units close in the order of their gates.

        ``changes`` are of :class:`PruningConfig`, such as ``{"target": 0.6}``: one training gives a
        family of models.

        Raises:
            ConfigError: a config that cannot be.
            ValueError: gates on single weights, which have no order.

        Example:
            >>> from espnet_prune import SSLEncoder
            >>> from espnet_prune.pruning import Pruner, PruningConfig, count_params
            >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
            >>> pruner = Pruner(encoder, PruningConfig(target=0.5, warmup_steps=10))
            >>> smaller = pruner.at(encoder, {"target": 0.7}).apply_to(encoder)
            >>> round(count_params(smaller.config).total / count_params(encoder.config).total, 2)
            0.3
        """
        known = {name: value for name, value in vars(self.config).items() if name not in changes}
        config = read_typed(PruningConfig, {**known, **changes}, "pruning_conf")
        other = Pruner(encoder, config)
        other.gates = self.gates.ranked(encoder, other.limits, config.reference_seconds)
        return other.eval()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Optimizer groups: gates descend, multipliers ascend."""
        gates, multipliers = list(self.gates.parameters()), list(self.budgets.parameters())
        groups: list[dict[str, Any]] = [
            {"params": gates, "lr": self.config.gate_lr},
            {"params": multipliers, "lr": self.config.multiplier_lr, "maximize": True},
        ]
        return [group | {"weight_decay": 0.0} for group in groups]

    def parts(self) -> list[tuple[str, Budget]]:
        """The budgets by the part of the cost that each holds."""
        return [(part, cast(Budget, budget)) for part, budget in self.budgets.items()]


def _distance(sparsity: Tensor, budget: Budget, tightest: bool) -> Tensor:
    """1 and more while the target rises, then how far the sparsity is from it, if too far."""
    rising = budget.target - budget.current_target()
    excess = sparsity - budget.target
    distance = excess.abs() if tightest or not budget.at_most else excess.clamp(max=0).abs()
    return torch.where(rising > 0, 1 + rising, distance * (distance > MOST_ROUNDING))
