"""Error against cost for models of several sizes, and the knee of that curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from espnet_prune.data import DataError
from espnet_prune.encoder import SSLConfig
from espnet_prune.pruning import count_macs, count_params
from espnet_prune.report.figure import DENSE, PRUNED, new_figure, tidy
from espnet_prune.report.table import Table, percent
from espnet_prune.storage.config_files import read_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = ("der", "wer")
COSTS = {
    "params": ("M parameters of the encoder", lambda c: count_params(c).total / 1e6),
    "macs": ("G multiply-accumulates per second of audio", lambda c: count_macs(c).total / 1e9),
}
"""What a model may be weighed by: a name for axes, and the number of a config."""


class Point(NamedTuple):
    """A model: its cost, its error as a fraction, and the ends of that one's interval, if any."""

    name: str
    cost: float
    error: float
    interval: tuple[float, float] | None


def read_point(name: str, config: SSLConfig, scores: Path, cost: str) -> Point:
    """A point of an encoder, and of what ``score_der --json`` or ``score_asr --output`` wrote.

    Raises:
        DataError: neither wrote it, or nothing was said in what was scored.
    """
    found = read_json(scores)
    rate = next((each for each in RATES if isinstance(found.get(each), float)), None)
    if rate is None:
        raise DataError(
            f"{scores}: expected a rate of {' or '.join(RATES)}, as score_der --json and score_asr "
            f"--output write it, found {', '.join(found) or 'nothing'}; score the model again"
        )
    ends = found.get(f"{rate}_interval") or (found.get(f"{rate}_low"), found.get(f"{rate}_high"))
    low, high = ends
    interval = None if low is None or high is None else (low, high)
    return Point(name, COSTS[cost][1](config), found[rate], interval)


def knee(points: Sequence[Point]) -> Point | None:
    """Where further savings begin to cost more; None of fewer than three, or of no bend.

    Of the points that none beats in both cost and error, the one farthest below the line between
    the first and the last, both axes scaled to 1 (after Satopaa et al., 2011, "Finding a kneedle in
    a haystack").

    Example:
        >>> from espnet_prune.report.trade_off import Point, knee
        >>> curve = [(1, 0.5), (2, 0.25), (4, 0.22), (8, 0.2)]
        >>> knee([Point(str(cost), cost, error, None) for cost, error in curve]).name
        '2'
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda each: (each.cost, each.error)):
        if not front or point.error < front[-1].error:
            front.append(point)
    if len(front) < 3:
        return None
    first, last = front[0], front[-1]

    def below(point: Point) -> float:
        along = (point.cost - first.cost) / (last.cost - first.cost)
        return 1 - along - (point.error - last.error) / (first.error - last.error)

    best = max(front, key=below)
    return best if below(best) > 0 else None


def render(points: Sequence[Point], cost: str) -> str:
    """The points as a table, the cheapest first, the knee marked."""
    best, label = knee(points), COSTS[cost][0]
    rows = [
        (point.name, f"{point.cost:.4g}", percent(point.error, point.interval),
         "knee" if point is best else "")
        for point in sorted(points, key=lambda each: each.cost)
    ]  # fmt: skip
    return Table(("model", label, "error (%)", ""), rows).markdown()


def draw(points: Sequence[Point], cost: str) -> Figure:
    """Draw error over cost with intervals; a ring is around the knee."""
    figure = new_figure(7, 4.2)
    axes = figure.subplots()
    ordered, best = sorted(points, key=lambda each: each.cost), knee(points)
    axes.plot([p.cost for p in ordered], [100 * p.error for p in ordered], color=PRUNED, lw=1)
    for point in ordered:
        low, high = point.interval or (point.error, point.error)
        ends = [[100 * (point.error - low)], [100 * (high - point.error)]]
        axes.errorbar(point.cost, 100 * point.error, ends, fmt="o", color=PRUNED, capsize=3)
        axes.annotate(point.name, (point.cost, 100 * point.error), (5, 5),
                      textcoords="offset points", fontsize=8)  # fmt: skip
    if best:
        axes.plot(best.cost, 100 * best.error, "o", ms=14, mfc="none", color=DENSE, label="knee")
        axes.legend(frameon=False)
    axes.set_xlabel(COSTS[cost][0])
    axes.set_ylabel("error (%)")
    axes.margins(0.12)
    tidy(axes)
    return figure
