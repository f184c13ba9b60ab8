"""The one engine of tables: records, which JSON has as they are, shown as Markdown, HTML or text.

HTML comes of the same rows by the macros of ``templates``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """A figure as JSON has it, None where there is none, and as people read it."""

    value: float | None
    text: str

    def __str__(self) -> str:
        return self.text


class Measure(NamedTuple):
    """A figure of a record: its key, its name in tables, and how :func:`cell` shows it."""

    key: str
    name: str
    pattern: str = "{:.2f}"
    scale: float = 100


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first ``words`` columns are words, the others numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    words: int = 1

    @classmethod
    def of(
        cls, title: str, measures: Sequence[Measure], records: Iterable[tuple[str, Mapping]]
    ) -> Table:
        """A row for each named record, a column for each measure.

        Of a record, texts are shown as they are, and nothing where it lacks a key.
        """
        rows = [(name, *(_shown(record, each) for each in measures)) for name, record in records]
        return cls((title, *(each.name for each in measures)), rows)

    def turned(self) -> Table:
        """The same with a row for each column."""
        header, *rows = zip(self.header, *self.rows, strict=True)
        return replace(self, header=tuple(map(str, header)), rows=rows)

    def markdown(self) -> str:
        """A Markdown table, aligned for those who read the source."""
        header, *rows = self._aligned()
        ends = "-" * self.words + ":" * (len(header) - self.words)
        rule = ["-" * (len(name) + 1) + end for name, end in zip(header, ends, strict=True)]
        lines = [f"| {' | '.join(line)} |" for line in (header, *rows)]
        return "\n".join([lines[0], f"|{'|'.join(rule)}|", *lines[1:]])

    def text(self) -> str:
        """Aligned columns for a terminal."""
        return "\n".join("  ".join(line).rstrip() for line in self._aligned())

    def _aligned(self) -> Iterator[list[str]]:
        lines = [list(map(str, row)) for row in (self.header, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            yield [
                each.ljust(width) if column < self.words else each.rjust(width)
                for column, (each, width) in enumerate(zip(line, widths, strict=True))
            ]


def cell(value: float | None, pattern: str = "{:.2f}", scale: float = 100) -> Cell:
    """Show ``scale`` times ``value`` by a pattern of ``str.format``; None as "n/a"; NaN as such."""
    if value is None or math.isnan(value):
        return Cell(None, "n/a" if value is None else "NaN")
    return Cell(value, pattern.format(scale * value))


def percent(rate: float | None, interval: tuple[float, float] | None = None) -> str:
    """A fraction in percent, n/a where there is none, and its interval in brackets."""
    if rate is None or math.isnan(rate):
        return "n/a"
    ends = f" ({100 * interval[0]:.1f}-{100 * interval[1]:.1f})" if interval else ""
    return f"{100 * rate:.2f}{ends}"


def without_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    """A record for JSON, which has no NaN; None takes its place."""
    return {key: None if value != value else value for key, value in values.items()}


def _shown(record: Mapping, measure: Measure) -> str | Cell:
    value = record.get(measure.key, "")
    return value if isinstance(value, str) else cell(value, measure.pattern, measure.scale)
