"""A model's history in words, and what pruning left of each of its layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from espnet_prune.encoder import SSLConfig, SSLEncoder, unit_sizes
from espnet_prune.encoder.config import MAPS
from espnet_prune.history import Step
from espnet_prune.pruning.applied import UNITS
from espnet_prune.report.table import Table, percent

Sizes = Mapping[str, Sequence[int]]
"""Units of each layer by kind: conv, head, ffn."""
_WORDS = {
    "task": "for {}",
    "source": "from {}",
    "teacher": "taught by {}",
    "data": "on {}",
    "recipe": "recipe {}",
    "gate": "by {} gates",
    "closed": "closing {}",
    "budget": "budget on {}",
    "target": "target {}",
    "reached": "reached {}",
    "round_to": "widths rounded to multiples of {}",
    "epochs": "{} epochs",
    "seed": "seed {}",
    "weights": "weights {}",
}
_MADE_BY = {"date": "{}", "espnet_prune": "espnet_prune {}", "torch": "torch {}",
            "espnet": "espnet {}", "commit": "commit {:.8}"}  # fmt: skip
_BAR = 10  # characters


def told(history: Iterable[Step]) -> list[str]:
    """A line for each step; facts that are not known here are shown as they are."""
    return [f"{number}. {_sentence(step)}" for number, step in enumerate(history, start=1)]


def _sentence(step: Step) -> str:
    others = step.keys() - {"step", *UNITS, *_WORDS, *_MADE_BY}
    words = {**_WORDS, **{key: f"{key} {{}}" for key in sorted(others)}}
    facts = [text.format(_shown(step[key])) for key, text in words.items() if key in step]
    made = [text.format(str(step[key])) for key, text in _MADE_BY.items() if key in step]
    return f"{step['step']} {', '.join(facts)}" + (f" ({', '.join(made)})" if made else "")


def _shown(fact: Any) -> str:
    if isinstance(fact, Mapping):
        return ", ".join(f"{key} {_shown(value)}" for key, value in fact.items())
    if isinstance(fact, list | tuple):
        return ", ".join(map(_shown, fact))
    return f"{percent(fact)} %" if isinstance(fact, float) and 0 < fact < 1 else str(fact)


def sizes_around(encoder: SSLEncoder) -> tuple[Sizes | None, Sizes]:
    """What the layers of ``encoder`` had before the first cut, if its history has one, and have.

    Layers that are no longer there have nothing.
    """
    cuts = (step for step in encoder.history if all(unit in step for unit in UNITS))
    now, first = unit_sizes(encoder.config), next(cuts, None)
    if first is None or any(len(first[unit]) < len(now[unit]) for unit in UNITS):
        return None, now
    before = {unit: first[unit] for unit in UNITS}
    return before, {unit: (*now[unit], *(0,) * (len(before[unit]) - len(now[unit])))
                    for unit in UNITS}  # fmt: skip


def rank_tables(config: SSLConfig) -> list[Table]:
    """The ranks of maps that are two thin ones, if there are any."""
    if not any(layer.ranks for layer in config.layers):
        return []
    rows = [[str(rank or "one matrix") for rank in layer.map_ranks] for layer in config.layers]
    names = (f"rank of {name.partition('.')[2]}" for name in MAPS)
    return [Table(("layer", *names), [[str(i), *row] for i, row in enumerate(rows)])]


def kept_tables(before: Sizes, after: Sizes) -> list[Table]:
    """What is left of the convolutions, and of the Transformer's layers."""

    def cells(unit: str, layer: int) -> list[str]:
        kept, all_ = after[unit][layer], before[unit][layer]
        bar = "#" * round(_BAR * kept / max(1, all_))
        return [f"{kept} / {all_}", bar.ljust(_BAR, ".")]

    convolutions, layers = (range(len(after[unit])) for unit in ("conv", "head"))
    return [
        Table(("convolution", "channels", ""), [[str(i), *cells("conv", i)] for i in convolutions]),
        Table(
            ("layer", "heads", "", "FFN units", ""),
            [[str(i), *cells("head", i), *cells("ffn", i)] for i in layers],
        ),
    ]
