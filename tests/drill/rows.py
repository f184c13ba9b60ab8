"""Rows of the drill: functions with a name that return what held, or raise what did not."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.drill.recipe import Reference


class Skipped(Exception):
    """The machine does not allow what a row needs."""


class Row(NamedTuple):
    """What is done, and what must come of it."""

    name: str
    expected: str
    check: Callable[[Reference], str]  # returns what was wrong instead, "" for nothing
    alone: bool = False  # it needs the reference's folder to work in, and not the reference


class Result(NamedTuple):
    """What a row came to; ``verdict`` is held, NOT HELD or skipped."""

    row: str
    expected: str
    verdict: str
    found: str
    seconds: float


def run(row: Row, reference: Reference) -> Result:
    """Run a row; one that crashes does not hold."""
    start = time.monotonic()
    try:
        found = row.check(reference)
        verdict = "NOT HELD" if found else "held"
    except Skipped as reason:
        verdict, found = "skipped", str(reason)
    except Exception as error:
        verdict, found = "NOT HELD", f"{type(error).__name__}: {error}"
        traceback.print_exc()
    return Result(row.name, row.expected, verdict, found, time.monotonic() - start)


def wrong(**facts: str | bool) -> str:
    """The names of the facts that are not so, with the text of those that are texts."""
    said = []
    for name, fact in facts.items():
        if isinstance(fact, str) and fact:
            said.append(f"{name.replace('_', ' ')}: {fact[:300]}")
        elif fact is False:
            said.append(f"not {name.replace('_', ' ')}")
    return "; ".join(said)


def folder_of(reference: Reference, name: str, after: int) -> Path:
    """A working copy named after a row."""
    return reference.fresh(name.replace(" ", "_"), after)
