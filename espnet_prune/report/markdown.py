"""Tables in Markdown, aligned for those who read the source."""

from __future__ import annotations

from collections.abc import Sequence


def percent(rate: float, interval: tuple[float, float] | None = None) -> str:
    """A fraction in percent, and its interval in brackets."""
    if interval is None:
        return f"{100 * rate:.2f}"
    return f"{100 * rate:.2f} ({100 * interval[0]:.1f}-{100 * interval[1]:.1f})"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], text: int) -> list[str]:
    """The lines of a table whose first ``text`` columns are words and the others numbers."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for cells in (header, *rows):
        padded = [c.ljust(w) for c, w in zip(cells[:text], widths[:text], strict=True)]
        padded += [c.rjust(w) for c, w in zip(cells[text:], widths[text:], strict=True)]
        lines.append(f"| {' | '.join(padded)} |")
    rule = [f"{'-' * (w + 2)}" for w in widths[:text]]
    rule += [f"{'-' * (w + 1)}:" for w in widths[text:]]
    return [lines[0], f"|{'|'.join(rule)}|", *lines[1:]]
