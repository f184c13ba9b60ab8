"""The rows of the tables of results: which figures, in which unit, rounded how."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from espnet_prune.report.results import ModelResults, Results
from espnet_prune.report.timing import INPUT_SECONDS


class Cell(NamedTuple):
    """A figure as ``results.json`` has it, None where there is none, and as people read it."""

    value: float | None
    text: str


Row = tuple[str | Cell, ...]
"""The name of a figure, then that of each model."""


def cost_rows(results: Results) -> list[Row]:
    """Size and speed of the SSL encoders, and the size of the whole models."""
    dense = results.dense
    return [
        _row(results, "parameters (M)", lambda m: m.params, "{:.3f}", 1e-6),
        _row(results, "sparsity (%)", lambda m: 1 - m.params / dense.params, "{:.1f}", 100),
        _row(results, "MACs (G per s of audio)", lambda m: m.macs, "{:.3f}", 1e-9),
        _row(results, f"time of {INPUT_SECONDS:g} s (ms)", lambda m: m.seconds, "{:.1f}", 1000),
        _row(results, "speed-up", lambda m: dense.seconds / m.seconds, "{:.2f}x"),
        _row(results, "parameters with head (M)", lambda m: m.model_params, "{:.3f}", 1e-6),
        _row(results, "training steps", lambda m: m.steps, "{:.0f}"),
        _row(results, "training (min)", lambda m: m.train_seconds, "{:.1f}", 1 / 60),
    ]


def rate_rows(results: Results) -> list[Row]:
    """DER and its interval, its parts and JER; DER of every other inference that was scored."""
    rows = [
        _row(results, "DER (%)", lambda m: m.der, "{:.2f}", 100),
        _row(results, "miss (%)", lambda m: m.miss, "{:.2f}", 100),
        _row(results, "false alarm (%)", lambda m: m.false_alarm, "{:.2f}", 100),
        _row(results, "confusion (%)", lambda m: m.confusion, "{:.2f}", 100),
        _row(results, "JER (%)", lambda m: m.jer, "{:.2f}", 100),
    ]
    models = results.models.values()
    if all(model.der_low is not None for model in models):
        low = _row(results, "DER, 95 % from", lambda m: m.der_low, "{:.2f}", 100)
        high = _row(results, "DER, 95 % to", lambda m: m.der_high, "{:.2f}", 100)
        rows[1:1] = [low, high]
    for variant in dict.fromkeys(name for model in models for name in model.der_by_variant):
        rates = (percent(model.der_by_variant.get(variant)) for model in models)
        rows.append((f"DER, {variant} (%)", *rates))
    return rows


DIFFERENCE = ("pruned less dense, paired bootstrap over recordings", "DER", "95 % from", "95 % to")


def difference_row(results: Results) -> Row:
    """DER of the pruned less that of the dense model and its interval, under ``DIFFERENCE``."""
    found = (results.difference.estimate, results.difference.low, results.difference.high)
    return ("points", *(cell(value, "{:+.2f}", 100) for value in found))


def percent(fraction: float | None) -> Cell:
    """An error rate, shown in percent."""
    return cell(fraction, "{:.2f}", 100)


def cell(value: float | None, pattern: str, scale: float = 1) -> Cell:
    """Show ``scale`` times ``value`` by a pattern of ``str.format``; None as "n/a"; NaN as such."""
    if value is None or math.isnan(value):
        return Cell(None, "n/a" if value is None else "NaN")
    return Cell(value, pattern.format(scale * value))


def _row(
    results: Results,
    name: str,
    value: Callable[[ModelResults], float | None],
    pattern: str,
    scale: float = 1,
) -> Row:
    return (name, *(cell(value(model), pattern, scale) for model in results.models.values()))
