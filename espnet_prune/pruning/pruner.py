"""Gates and budgets of one encoder under one configuration: all that a training adds to it."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from espnet_prune.encoder import EncoderOutput, SSLEncoder
from espnet_prune.encoder.checks import require_finite
from espnet_prune.pruning.applied import applied_step
from espnet_prune.pruning.budget import Budget
from espnet_prune.pruning.config import PruningConfig
from espnet_prune.pruning.cost import count_costs
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
        self.config = config
        self.gates = config.kind.of(encoder, config)
        self._measure, parts = config.held
        dense = count_costs(encoder.config, config.reference_seconds).by(self._measure)
        least = self.gates.least_costs().by(self._measure)
        self.budgets = nn.ModuleDict(
            {
                part: Budget(
                    dense.part(part),
                    least.part(part),
                    config.targets[part],
                    config.warmup_steps,
                    config.lambda2,
                )
                for part in parts
            }
        )
        # The share of the whole that each budget rules over: 1 in sum.
        self._shares = {part: dense.part(part) / dense.total for part in self.budgets}

    def forward(
        self, encoder: SSLEncoder, wavs: Tensor, lengths: Tensor | None = None
    ) -> EncoderOutput:
        """The gated ``encoder`` on waveforms ``(B, T)`` of ``lengths`` ``(B,)`` samples."""
        return self.gates.run(encoder, wavs, lengths)

    def penalty(self, encoder: SSLEncoder) -> Penalty:
        """The Lagrangian terms at the present gates; in training, the ramps move on by a step."""
        costs = self.gates.costs(encoder)
        cost = costs.by(self._measure)
        loss = off_target = target = cost.total.new_zeros(())
        stats: dict[str, Tensor] = {}
        for part, budget in self.parts():
            sparsity = budget.sparsity(cost.part(part))
            loss = loss + budget.penalty(sparsity)
            off_target = off_target + _distance(sparsity.detach(), budget)
            target = target + self._shares[part] * budget.current_target()
            suffix = "" if part == "total" else f"_{part}"
            stats[f"lambda1{suffix}"] = budget.lambda1
            stats[f"lambda2{suffix}"] = budget.lambda2
            if suffix:
                stats[f"sparsity{suffix}"] = sparsity
            if self.training:
                budget.advance()
        dense = sum(budget.dense_cost for _, budget in self.parts())
        stats |= {
            "sparsity": 1 - cost.total / dense,
            "target_sparsity": target,
            "expected_params": costs.params.total,
            "expected_macs": costs.macs.total,
        }
        detached = {
            name: torch.as_tensor(value, dtype=loss.dtype, device=loss.device).detach().clone()
            for name, value in stats.items()
        }
        return Penalty(loss, detached, off_target)

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
        cost = self.gates.costs(encoder).by(self._measure)
        for part, budget in self.parts():
            check_converged(part, float(budget.sparsity(cost.part(part))), budget.target)
        smaller = self.gates.apply_to(
            encoder, dict(self.parts()), self._measure, self.config.tolerance, round_to
        )
        smaller.history = (*encoder.history, applied_step(self, encoder, smaller, round_to))
        return smaller

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


def _distance(sparsity: Tensor, budget: Budget) -> Tensor:
    """1 and more while the target rises, then how far the sparsity is from it, if too far."""
    rising = budget.target - budget.current_target()
    distance = (sparsity - budget.target).abs()
    return torch.where(rising > 0, 1 + rising, distance * (distance > MOST_ROUNDING))
