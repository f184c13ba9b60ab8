"""From trained gates to the masks that are applied: exactly on budget, or a loud failure."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor

from espnet_prune.encoder import Masks
from espnet_prune.pruning.budgets import Limit, Limits
from espnet_prune.pruning.budgets.held import EVERY

# Rounding each gate vector by itself moves a small model by a head or two; more than this
# (absolute sparsity) is no rounding but a run that did not converge.
MOST_ROUNDING = 0.02
# Moves that may bring a measured cost no nearer before another one does.
_AHEAD = 64


class BudgetMissed(RuntimeError):
    """A training, or what was made of it, is away from its target.

    Example:
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.pruning import BudgetMissed, Pruner, PruningConfig
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> try:
        ...     Pruner(encoder, PruningConfig(target=0.5, warmup_steps=10)).apply_to(encoder)
        ... except BudgetMissed as missed:
        ...     print(str(missed).split(",")[0])  # nothing was trained
        expected sparsity 50.0% (total)
    """


def check_converged(limit: Limit, expected: float) -> None:
    """Raise BudgetMissed if the ``expected`` sparsity is too far off its target to be rounded.

    One of several budgets may save more than it has to: rounding opens units again.
    """
    excess = expected - limit.target  # may be NaN
    if not -MOST_ROUNDING <= excess <= (1 - limit.target if limit.at_most else MOST_ROUNDING):
        raise BudgetMissed(
            f"expected {limit.told(limit.target)}, found {limit.told(expected)} after training; "
            "train for more steps, shorten the ramp, or raise the gates' and multipliers' "
            "learning rates (Adam moves a gate by at most its rate per step)"
        )


def close_by_rank(
    ranking: Masks,
    units: Iterable[str],
    sparsity: Callable[[Masks], float],
    target: float,
) -> Masks:
    """Masks of 0 and 1 in which the units of lowest rank close, as many as reach ``target``.

    Args:
        ranking: of the units, comparable over layers and kinds; the best of each convolution stays.
        units: the kinds that close; others stay open.
        sparsity: under given masks; it grows with what is closed.
        target: of that sparsity, which the masks reach or just exceed, if they can.
    """
    kinds = [unit for unit in units if any(rank is not None for rank in getattr(ranking, unit))]
    places = [(kind, layer, rank) for kind in kinds
              for layer, rank in enumerate(getattr(ranking, kind)) if rank is not None]  # fmt: skip
    sizes = [rank.numel() for *_, rank in places]
    stays = [torch.zeros_like(rank, dtype=torch.bool) for *_, rank in places]
    for (kind, _, rank), stay in zip(places, stays, strict=True):
        if kind == "conv":
            stay[rank.argmax()] = True
    flat, staying = (torch.cat([each.flatten() for each in parts])
                     for parts in ([rank for *_, rank in places], stays))  # fmt: skip
    order = flat.argsort(stable=True)  # among equals, one after the other
    order = order[~staying[order]]

    def lowest(count: int) -> Masks:
        """Masks in which so many of the lowest are closed."""
        masks = torch.ones_like(flat).index_fill(0, order[:count], 0.0).split(sizes)
        found = {kind: list(getattr(ranking, kind)) for kind in kinds}
        for (kind, layer, rank), mask in zip(places, masks, strict=True):
            found[kind][layer] = mask.view_as(rank)
        opened = ranking.map(torch.ones_like)
        return opened._replace(**{kind: tuple(each) for kind, each in found.items()})

    counts = range(len(order) + 1)
    return lowest(
        bisect.bisect_left(counts, target, hi=len(order), key=lambda n: sparsity(lowest(n)))
    )


def close_to(
    ranking: Masks,
    sparsities: Callable[[Masks], Mapping[str, float]],
    limits: Limits,
) -> Masks:
    """Masks of 0 and 1 in which the units of lowest rank close until each limit is reached.

    Args:
        ranking: see :func:`close_by_rank`.
        sparsities: of each of the limited costs under given masks.
        limits: what to reach, each by the units of its own part.
    """
    masks = ranking.map(torch.ones_like)
    for key, limit in limits.items():

        def saved(masks: Masks, key: str = key) -> float:
            return sparsities(masks)[key]

        closed = close_by_rank(ranking, limit.held.parts[limit.part], saved, limit.target)
        both = zip(masks, closed, strict=True)
        masks = Masks(*(tuple(map(product, ours, theirs)) for ours, theirs in both))
    return masks


def product(ours: Tensor | None, theirs: Tensor | None) -> Tensor | None:
    """Of two masks, None where there is none."""
    return None if ours is None or theirs is None else ours * theirs


def round_to_budgets(
    masks: Masks,
    values: Masks,
    ranking: Masks,
    sparsities: Callable[[Masks], Mapping[str, float]],
    limits: Limits,
    tolerance: float,
) -> Masks:
    """The deterministic masks, with single units opened or closed until on target.

    Gate vectors are rounded one by one, so that their sum is near the target, not at it; the
    units nearest to the edge make up the difference. Of several budgets the tightest is met, the
    others are kept.

    Args:
        masks: after training.
        values: of the units if all were open.
        ranking: the lower, the sooner a unit closes.
        sparsities: of each of the limited costs under given masks.
        limits: each to be met within ``tolerance`` (absolute sparsity).

    Raises:
        BudgetMissed: no choice of units comes within ``tolerance``.
    """

    def excess(masks: Masks) -> dict[str, float]:
        return {key: saved - limits[key].target for key, saved in sparsities(masks).items()}

    def own(key: str) -> Callable[[Masks], float]:
        return lambda masks: excess(masks)[key]

    def tightest(masks: Masks) -> float:
        return min(excess(masks).values())

    several = any(limit.at_most for limit in limits.values())
    masks = _each(_keep_one, ("conv",), masks, values, ranking)
    for key, limit in limits.items():
        units = limit.held.parts[limit.part]
        if not several or excess(masks)[key] < 0:
            masks = _settle(masks, values, ranking, units, own(key))
    if several:
        masks = _settle(masks, values, ranking, EVERY, tightest)
    found = excess(masks)
    for key, limit in limits.items():
        loose = several and found[key] > min(found.values())
        if not -tolerance <= found[key] <= (1 - limit.target if loose else tolerance):
            raise BudgetMissed(
                f"expected {limit.told(limit.target)} within {tolerance:.1%}, found "
                f"{limit.told(limit.target + found[key])}: the gated units are too coarse; gate a "
                "finer kind (ffn) as well, or allow more by tolerance"
            )
    return masks


def open_what_is_free(
    masks: Masks,
    values: Masks,
    ranking: Masks,
    sparsities: Callable[[Masks], Mapping[str, float]],
) -> Masks:
    """``masks`` with further units open wherever that costs nothing of what is limited.

    A processor that computes in blocks of units takes as long for full ones: widths fill them.
    """
    saved = sparsities(masks)
    for unit in ("conv", "head", "ffn"):
        for layer, mask in enumerate(getattr(masks, unit)):
            if mask is None:
                continue
            best_first = getattr(ranking, unit)[layer].argsort(descending=True, stable=True)
            for index in best_first[mask[best_first] == 0].tolist():
                more = _with(masks, unit, layer, index, getattr(values, unit)[layer][index])
                found = sparsities(more)
                if any(found[key] < before - 1e-9 for key, before in saved.items()):
                    break
                masks, saved = more, found
    return masks


def round_widths(masks: Masks, values: Masks, ranking: Masks, multiple: int) -> Masks:
    """Open or close units until each convolution and FFN has a multiple of ``multiple``.

    Hardware likes such widths. Each goes to the nearest multiple that the layer can have, an
    empty FFN stays empty, and nothing else becomes empty.
    """

    def rounded(mask: Tensor, opened: Tensor, rank: Tensor) -> Tensor:
        if not mask.any():
            return mask
        count = int((mask > 0).sum())
        wanted = max(multiple, (count + multiple // 2) // multiple * multiple)
        if wanted > len(mask):
            wanted = len(mask) // multiple * multiple or len(mask)
        # Among equals the units that are open come first.
        order = (rank.argsort(descending=True, stable=True)).tolist()
        order.sort(key=lambda index: mask[index] == 0)
        return opened.index_fill(0, opened.new_tensor(order[wanted:]).long(), 0.0)

    return masks if multiple == 1 else _each(rounded, ("conv", "ffn"), masks, values, ranking)


def _each(
    function: Callable[[Tensor, Tensor, Tensor], Tensor],
    units: tuple[str, ...],
    masks: Masks,
    values: Masks,
    ranking: Masks,
) -> Masks:
    """``masks`` with those of ``units`` replaced, where there are gates."""

    def replaced(unit: str) -> Iterator[Tensor | None]:
        vectors = (getattr(given, unit) for given in (masks, values, ranking))
        for mask, opened, rank in zip(*vectors, strict=True):
            yield None if mask is None else function(mask, opened, rank)

    return masks._replace(**{unit: tuple(replaced(unit)) for unit in units})


def _keep_one(mask: Tensor, opened: Tensor, rank: Tensor) -> Tensor:
    best = rank.argmax()
    return mask if mask.any() else mask.index_copy(0, best[None], opened[best, None])


def _settle(
    masks: Masks,
    values: Masks,
    ranking: Masks,
    units: Iterable[str],
    excess: Callable[[Masks], float],
) -> Masks:
    """Move single ``units``, coarse kinds before fine ones, until ``excess`` is nearest to 0.

    A measured cost may stay, or fall, while units open: some moves ahead are looked at.
    """
    distance = excess(masks)
    for unit in units:
        moved, ahead = masks, 0
        while distance and ahead < _AHEAD:
            further = _move_one(moved, values, ranking, unit, opening=distance > 0)
            if further is None:
                break
            moved = further
            found = excess(moved)
            if abs(found) < abs(distance):
                masks, distance, ahead = moved, found, 0
            elif found * distance < 0:
                break
            else:
                ahead += 1
    return masks


def _move_one(
    masks: Masks, values: Masks, ranking: Masks, unit: str, opening: bool
) -> Masks | None:
    """Open the closed unit that ranks highest, or close the open one that ranks lowest."""
    vectors, ranks = getattr(masks, unit), getattr(ranking, unit)
    choices: list[tuple[float, int, int]] = []
    for layer, mask in enumerate(vectors):
        if mask is None:
            continue
        candidates = ((mask == 0) if opening else (mask > 0)).nonzero().squeeze(1)
        if not len(candidates) or (unit == "conv" and not opening and len(candidates) == 1):
            continue
        scores = ranks[layer][candidates] * (-1 if opening else 1)
        choice = int(scores.argmin())
        choices.append((float(scores[choice]), layer, int(candidates[choice])))
    if not choices:
        return None
    _, layer, index = min(choices)
    value = getattr(values, unit)[layer][index] if opening else 0.0
    return _with(masks, unit, layer, index, value)


def _with(masks: Masks, unit: str, layer: int, index: int, value: Tensor | float) -> Masks:
    vectors = list(getattr(masks, unit))
    vectors[layer] = vectors[layer].clone()
    vectors[layer][index] = value
    return masks._replace(**{unit: tuple(vectors)})
