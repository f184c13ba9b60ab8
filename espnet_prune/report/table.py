"""Results as people read them, in the shape of ESPnet's RESULTS.md."""

from __future__ import annotations

from collections.abc import Sequence

from espnet_prune.report.environment import Environment
from espnet_prune.report.markdown import markdown_table
from espnet_prune.report.results import Results
from espnet_prune.report.rows import DIFFERENCE, Row, cost_rows, difference_row, rate_rows


def render_tables(results: Results) -> str:
    """The Markdown tables, one model beside the other; rates in percent."""
    return "\n".join([
        "### SSL encoder",
        "",
        *_table("size and speed", results, cost_rows(results)),
        "",
        "### DER",
        "",
        *_table(results.set, results, rate_rows(results)),
        "",
        *markdown_table(DIFFERENCE, _texts([difference_row(results)]), text=1),
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


def _table(title: str, results: Results, rows: Sequence[Row]) -> list[str]:
    return markdown_table((title, *results.models), _texts(rows), text=1)


def _texts(rows: Sequence[Row]) -> list[list[str]]:
    return [[each if isinstance(each, str) else each.text for each in row] for row in rows]
