"""From trained gates to the masks that are applied: exactly on budget, or a loud failure."""

from __future__ import annotations

import torch
from torch import Tensor

from espnet_prune.pruning.budget import Budget
from espnet_prune.pruning.cost import expected_widths, masked_widths
from espnet_prune.pruning.gates import Gates
from espnet_prune.ssl import Masks

# Rounding each gate vector by itself moves a small model by a head or two; more than this
# (absolute sparsity) is no rounding but a run that did not converge.
_MOST_ROUNDING = 0.02


class BudgetMissed(RuntimeError):
    """Training ended away from the target sparsity."""


@torch.no_grad()
def round_to_budget(gates: Gates, budget: Budget) -> Masks:
    """The deterministic masks, with single units opened or closed until on target.

    Gate vectors are rounded one by one, so that their sum is near the target, not at it; the
    units nearest to the edge, whole heads before FFN units, make up the difference.

    Raises:
        BudgetMissed: the expected sparsity is away from the target, or no choice of units
            comes within the budget's tolerance.
    """
    expected = float(budget.sparsity(expected_widths(budget.config, gates.open_probabilities())))
    if abs(expected - budget.target) > _MOST_ROUNDING:
        raise BudgetMissed(
            f"expected sparsity {budget.target:.1%} (target), found {expected:.1%} after training; "
            "train for more steps, shorten the ramp, or raise the gates' and multipliers' "
            "learning rates (Adam moves a gate by at most its rate per step)"
        )
    masks = _settle(gates.masks(), gates.open_values(), budget)
    reached = float(budget.sparsity(masked_widths(budget.config, masks)))
    if abs(reached - budget.target) > budget.tolerance:
        raise BudgetMissed(
            f"expected sparsity {budget.target:.1%} within {budget.tolerance:.1%}, found "
            f"{reached:.1%}: the gated units are too coarse; gate a finer kind (ffn) as well"
        )
    return masks


def _settle(masks: Masks, values: Masks, budget: Budget) -> Masks:
    """Move single units, coarse kinds before fine ones, while that brings the sparsity closer."""
    masks = _keep_a_channel(masks, values)
    for unit in ("head", "conv", "ffn"):
        while True:
            distance = _excess(masks, budget)
            moved = _move_one(masks, values, unit, opening=distance > 0)
            if moved is None or abs(_excess(moved, budget)) >= abs(distance):
                break
            masks = moved
    return masks


def _excess(masks: Masks, budget: Budget) -> float:
    return float(budget.sparsity(masked_widths(budget.config, masks))) - budget.target


def _keep_a_channel(masks: Masks, values: Masks) -> Masks:
    def keep(mask: Tensor | None, opened: Tensor | None) -> Tensor | None:
        if mask is None or opened is None or mask.any():
            return mask
        best = opened.argmax()
        return mask.index_copy(0, best[None], opened[best, None])

    return masks._replace(conv=tuple(map(keep, masks.conv, values.conv)))


def _move_one(masks: Masks, values: Masks, unit: str, opening: bool) -> Masks | None:
    """Open the closed unit with the highest value, or close the open one with the lowest."""
    best: tuple[float, int, int] | None = None
    for layer, (mask, opened) in enumerate(
        zip(getattr(masks, unit), getattr(values, unit), strict=True)
    ):
        if mask is None:
            continue
        candidates = ((mask == 0) if opening else (mask > 0)).nonzero().squeeze(1)
        if not len(candidates) or (unit == "conv" and not opening and len(candidates) == 1):
            continue
        scores = opened[candidates] * (-1 if opening else 1)
        choice = int(scores.argmin())
        entry = (float(scores[choice]), layer, int(candidates[choice]))
        best = entry if best is None else min(best, entry)
    if best is None:
        return None
    _, layer, index = best
    vectors = list(getattr(masks, unit))
    vectors[layer] = vectors[layer].clone()
    vectors[layer][index] = getattr(values, unit)[layer][index] if opening else 0.0
    return masks._replace(**{unit: tuple(vectors)})
