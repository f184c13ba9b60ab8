"""Results as people read them, in the shape of ESPnet's RESULTS.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from espnet_prune.report.environment import Environment
from espnet_prune.report.markdown import markdown_table
from espnet_prune.report.results import ModelResults, Results
from espnet_prune.report.timing import INPUT_SECONDS

_Row = tuple[str, Callable[[ModelResults], str]]


def render_tables(results: Results) -> str:
    """The Markdown tables, dense beside pruned; rates in percent."""
    dense = results.dense
    size: list[_Row] = [
        ("parameters (M)", lambda m: f"{m.params / 1e6:.3f}"),
        ("sparsity (%)", lambda m: f"{100 * (1 - m.params / dense.params):.1f}"),
        ("MACs (G per s of audio)", lambda m: f"{m.macs / 1e9:.3f}"),
        (f"time of {INPUT_SECONDS:g} s (ms)", lambda m: f"{1000 * m.seconds:.1f}"),
        ("speed-up", lambda m: f"{dense.seconds / m.seconds:.2f}x"),
        ("parameters with head (M)", lambda m: f"{m.model_params / 1e6:.3f}"),
    ]
    rates: list[_Row] = [
        ("DER (%)", lambda m: _percent(m.der)),
        ("miss (%)", lambda m: _percent(m.miss)),
        ("false alarm (%)", lambda m: _percent(m.false_alarm)),
        ("confusion (%)", lambda m: _percent(m.confusion)),
        ("JER (%)", lambda m: _percent(m.jer)),
    ]
    for precision in dense.der_by_precision:
        rates.append((f"DER in {precision} (%)", partial(_der_in, precision)))
    return "\n".join([
        "### SSL encoder",
        "",
        *_table("size and speed", results, size),
        "",
        "### DER",
        "",
        *_table(results.set, results, rates),
    ])  # fmt: skip


def render_results(results: Results, name: str) -> str:
    """The whole RESULTS.md of the experiment folder ``name``."""
    return "\n".join([
        "# RESULTS",
        "",
        "## Environments",
        "",
        *_environment(results.environment),
        "",
        f"## {name}",
        "",
        f"- Seed: {results.seed}",
        f"- Timed on: {results.device}, {results.threads} CPU threads",
        "- Training time (s): "
        + ", ".join(f"{name} {s:.0f}" for name, s in results.train_seconds.items()),
        "",
        render_tables(results),
        "",
    ])  # fmt: skip


def _environment(environment: Environment) -> list[str]:
    lines = [
        f"- date: `{environment.date}`",
        f"- python version: `{environment.python}`",
        f"- espnet version: `espnet {environment.espnet or 'not installed'}`",
        f"- pytorch version: `pytorch {environment.torch}`",
    ]
    if environment.git_commit:
        lines += [
            f"- Git hash: `{environment.git_commit}`",
            f"  - Commit date: `{environment.git_date}`",
        ]
    return lines


def _table(title: str, results: Results, rows: Sequence[_Row]) -> list[str]:
    cells = [(name, value(results.dense), value(results.pruned)) for name, value in rows]
    return markdown_table((title, "dense", "pruned"), cells, text=1)


def _der_in(precision: str, model: ModelResults) -> str:
    return _percent(model.der_by_precision.get(precision))


def _percent(rate: float | None) -> str:
    return "n/a" if rate is None else f"{100 * rate:.2f}"
