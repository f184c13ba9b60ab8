"""Text tables of Kaldi and NIST: one record per line, and errors that name file and line."""

from __future__ import annotations

import codecs
import contextlib
import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from espnet_prune.storage.files import atomic_write

T = TypeVar("T")

MAX_PROBLEMS_SHOWN = 20
# Beyond any recording: such a time is a mistake, and sums with it are worth nothing.
MAX_SECONDS = 1e7
KALDI_COMMENTS = (b";;",)
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


class Problems(list[str]):
    """What is wrong with an input, one problem in words each, to be told all at once."""

    @contextlib.contextmanager
    def collect(self, place: str = "") -> Iterator[None]:
        """Take in the DataError of the ``with`` block, each problem behind its place."""
        try:
            yield
        except DataError as error:
            self += [f"{place}{problem}" for problem in error.args]

    def raise_any(self) -> None:
        """Raise them as a DataError, unless there are none."""
        if self:
            raise DataError(*self)


def shown(names: Sequence[str], most: int = 5) -> str:
    """List the first few of some names."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def entry_of(recording: str, table: Mapping[str, T], path: Path) -> T:
    """What the table of a file has of a recording, which has to be there."""
    if recording not in table:
        listed = ", ".join(sorted(table)[:10]) or "none"
        problem = f"expected the recording {recording!r}, found {listed}"
        raise DataError(f"{path}: {problem}; choose one of these, or complete the file")
    return table[recording]


def scan_table(
    path: str | Path,
    parse: Callable[[list[str]], T | None],
    max_fields: int | None = None,
    comments: tuple[bytes, ...] = KALDI_COMMENTS,
) -> tuple[list[tuple[int, T]], Problems]:
    """Records of a table with their line numbers (from 1), and the problems ``file:line: ...``.

    Args:
        path: text file, UTF-8 or, with a byte order mark, UTF-16. Blank lines are skipped.
        parse: makes a record of the fields of a line, or None to skip it; raises ValueError.
        max_fields: the last of this many fields may contain spaces (default: no field may).
        comments: what lines that are skipped begin with.
    """
    rows: list[tuple[int, T]] = []
    problems = Problems()
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


def read_table(
    path: str | Path,
    parse: Callable[[list[str]], T | None],
    comments: tuple[bytes, ...] = KALDI_COMMENTS,
) -> list[T]:
    """Parse every line of a table; a DataError has every malformed one."""
    rows, problems = scan_table(path, parse, comments=comments)
    problems.raise_any()
    return [record for _, record in rows]


def read_recordings(
    path: str | Path, suffix: str, parse: Callable[[list[str]], Any]
) -> dict[str, list[Any]]:
    """Records of each recording of a NIST table, or of a folder's tables of that suffix."""
    path = Path(path)
    files = sorted(path.glob(f"*{suffix}")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: expected files *{suffix} in this folder, found none; add some")
    records: dict[str, list[Any]] = {}
    for file in files:
        for record in read_table(file, parse, NIST_COMMENTS):
            records.setdefault(record.recording, []).append(record)
    return records


class Tables:
    """Reads the tables of a folder; ``problems`` collects what is wrong in and between them."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.problems = Problems()

    def has(self, name: str) -> bool:
        """Tell whether a table is there."""
        return (self.folder / name).is_file()

    def tell(self, problem: str) -> None:
        """Add a problem that begins with its place, ``table: ...`` or ``table:line: ...``."""
        name, colon, rest = problem.partition(":")
        self.problems.append(f"{self.folder / name}{colon}{rest}")

    def rows(
        self,
        name: str,
        parse: Callable[[list[str]], T | None],
        max_fields: int | None = None,
        comments: tuple[bytes, ...] = KALDI_COMMENTS,
        required: bool = True,
    ) -> list[tuple[int, T]]:
        """The records of a table with their lines, none of a table that is not there."""
        if self.has(name):
            rows, problems = scan_table(self.folder / name, parse, max_fields, comments)
            self.problems += problems
            return rows
        if required:
            self.tell(f"{name}: expected this file in a data directory, found none; create it")
        return []

    def require_unique(self, name: str, kind: str, keys: Iterable[tuple[int, str]]) -> None:
        """Tell of every line whose key an earlier line has."""
        first_lines: dict[str, int] = {}
        for line, key in keys:
            first = first_lines.setdefault(key, line)
            if first != line:
                self.tell(
                    f"{name}:{line}: expected unique {kind}, found {key} already in line {first}; "
                    "rename or remove one"
                )

    def require_recording(self, place: str, recording: str, known: Container[str]) -> None:
        """Tell of a recording that is not known."""
        if recording not in known:
            self.tell(
                f"{place}: expected a recording of wav.scp, found {recording!r}; add it there or "
                "remove the line"
            )


def read_bytes(path: str | Path) -> bytes:
    """A text file without its byte order mark, UTF-16 turned into UTF-8."""
    data = Path(path).read_bytes()
    if not data.startswith(_UTF_16):
        return data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-16").encode()
    except UnicodeError as error:
        raise DataError(f"{path}: expected UTF-16 text, found {error}; write it as UTF-8") from None


def expect_fields(fields: list[str], layout: str) -> None:
    """Raise ValueError unless a line has as many fields as its layout, e.g. ``<id> <path>``."""
    expected = len(layout.split())
    if len(fields) != expected:
        raise ValueError(
            f"expected {expected} fields, found {len(fields)}; write the line as `{layout}`"
        )


def parse_seconds(text: str, name: str) -> float:
    """Read a finite number of seconds; anything else is a ValueError."""
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


def check_start(start: float) -> None:
    """Raise ValueError unless a time in seconds is finite and not negative."""
    if not 0 <= start < math.inf:
        raise ValueError(f"expected a start of 0 s or later, found {start:g} s; correct the start")


def check_interval(start: float, end: float) -> None:
    """Raise ValueError unless 0 <= start < end (seconds)."""
    check_start(start)
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
