"""Text tables of Kaldi and NIST: one record per line, and errors that name file and line."""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from espnet_prune.storage.files import atomic_write

T = TypeVar("T")

MAX_PROBLEMS_SHOWN = 20
# Beyond any recording: such a time is a mistake, and sums with it are worth nothing.
MAX_SECONDS = 1e7
NIST_COMMENTS = (b";", b"#")
"""What md-eval takes for the beginning of a comment."""
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class DataError(ValueError):
    """Input data that break their format; each argument is one problem, in words."""

    def __str__(self) -> str:
        shown = [str(problem) for problem in self.args[:MAX_PROBLEMS_SHOWN]]
        hidden = len(self.args) - len(shown)
        if hidden:
            shown.append(f"... and {hidden} more problem(s)")
        return "\n".join(shown)


def entry_of(recording: str, table: Mapping[str, T], path: Path) -> T:
    """What the table of a file has of a recording.

    Raises:
        DataError: it has nothing; the message lists what it has.
    """
    if recording not in table:
        listed = ", ".join(sorted(table)[:10]) or "none"
        problem = f"expected the recording {recording!r}, found {listed}"
        raise DataError(f"{path}: {problem}; choose one of these, or complete the file")
    return table[recording]


def scan_table(
    path: str | Path,
    parse: Callable[[list[str]], T | None],
    max_fields: int | None = None,
    comments: tuple[bytes, ...] = (b";;",),
) -> tuple[list[tuple[int, T]], list[str]]:
    """Parse every line of a table and collect the problems instead of stopping at the first.

    Args:
        path: text file, UTF-8 or, with a byte order mark, UTF-16. Blank lines are skipped.
        parse: makes a record of the fields of a line, or None to skip it; raises ValueError.
        max_fields: the last of this many fields may contain spaces (default: no field may).
        comments: what lines that are skipped begin with.

    Returns:
        The records with their line numbers (from 1), and the problems as ``file:line: ...``.
    """
    rows: list[tuple[int, T]] = []
    problems: list[str] = []
    max_splits = -1 if max_fields is None else max_fields - 1
    for number, line in enumerate(read_bytes(path).split(b"\n"), start=1):
        # Splitting bytes splits at ASCII blanks only: a no-break space belongs to its field.
        fields = line.strip().split(None, max_splits)
        if not fields or fields[0].startswith(comments):
            continue
        try:
            record = parse([_decode(field) for field in fields])
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
            continue
        if record is not None:
            rows.append((number, record))
    return rows, problems


def read_bytes(path: str | Path) -> bytes:
    """A text file without its byte order mark, UTF-16 turned into UTF-8.

    Raises:
        DataError: the mark says UTF-16 and the rest is something else.
    """
    data = Path(path).read_bytes()
    if not data.startswith(_UTF_16):
        return data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-16").encode()
    except UnicodeError as error:
        raise DataError(f"{path}: expected UTF-16 text, found {error}; write it as UTF-8") from None


def read_table(
    path: str | Path,
    parse: Callable[[list[str]], T | None],
    comments: tuple[bytes, ...] = (b";;",),
) -> list[T]:
    """Parse every line of a table.

    Raises:
        DataError: with every malformed line of the file.
    """
    rows, problems = scan_table(path, parse, comments=comments)
    if problems:
        raise DataError(*problems)
    return [record for _, record in rows]


def tables_at(path: str | Path, suffix: str) -> list[Path]:
    """The file that a path names, or the files of a suffix in the folder that it names.

    Raises:
        DataError: there is none in the folder.
    """
    path = Path(path)
    if not path.is_dir():
        return [path]
    files = sorted(path.glob(f"*{suffix}"))
    if not files:
        raise DataError(f"{path}: expected files *{suffix} in this folder, found none; add some")
    return files


def expect_fields(fields: list[str], layout: str) -> None:
    """Raise ValueError unless a line has as many fields as its layout, e.g. ``<id> <path>``."""
    expected = len(layout.split())
    if len(fields) != expected:
        raise ValueError(
            f"expected {expected} fields, found {len(fields)}; write the line as `{layout}`"
        )


def parse_seconds(text: str, name: str) -> float:
    """Read a finite number of seconds.

    Raises:
        ValueError: for text that is not a number, NaN and infinity.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not abs(seconds) <= MAX_SECONDS:
        raise ValueError(
            f"expected the {name} in seconds, {MAX_SECONDS:g} at most, found {text!r}; "
            "write a decimal number"
        )
    return seconds


def check_interval(start: float, end: float) -> None:
    """Raise ValueError unless 0 <= start < end (seconds)."""
    if not start >= 0:
        raise ValueError(f"expected a start of 0 s or later, found {start:g} s; correct the start")
    if not end > start:
        raise ValueError(
            f"expected an end after the start, found {start:g} s to {end:g} s; "
            "correct or remove the line"
        )


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Write a UTF-8 text file atomically: an earlier file stays intact if writing fails."""
    atomic_write(path, to_text(lines))


def to_text(lines: Iterable[str]) -> str:
    """Lines as the content of a file."""
    return "".join(f"{line}\n" for line in lines)


def _decode(field: bytes) -> str:
    try:
        return field.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"expected UTF-8 text, found {field!r}; convert the file") from None
