"""Kill, fill, poison and change the recipes, and print a table of what held: ``make drill``."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.drill import full, fuzz, hostile, kills, numbers, options, speech
from tests.drill.recipe import Reference
from tests.drill.rows import Result, Row, run

MODULES = (kills, full, numbers, options, speech, hostile, fuzz)
ROWS: dict[str, Row] = {row.name: row for module in MODULES for row in module.ROWS}


def chosen(words: list[str]) -> list[Row]:
    """The rows whose names begin with one of the words; all where there are none.

    Raises:
        SystemExit: no row begins with a word.
    """
    words = [word.replace("_", " ") for word in words]
    for word in words:
        if not any(name.startswith(word) for name in ROWS):
            sys.exit(f"expected the beginning of a row's name, found {word!r}; see --list")
    return [row for name, row in ROWS.items() if not words or name.startswith(tuple(words))]


def _line(result: Result) -> str:
    name, expected, verdict, found, seconds = result
    return f"{name:32} {verdict:8} {seconds:5.0f} s  {found or expected}"


def _run(name: str, work: Path) -> Result:
    sys.stdout = sys.stderr = open(work / f"{name.replace(' ', '_').replace('/', '_')}.out", "w")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # clean up
    return run(ROWS[name], Reference(work))


def main() -> int:
    """Run the rows; 1 if one does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--rows", nargs="+", default=[], help="beginnings of names of rows")
    parser.add_argument("--list", action="store_true", help="print the rows and what each expects")
    parser.add_argument("--jobs", type=int, default=2, help="rows at a time (default: 2)")
    parser.add_argument("--work", type=Path, help="folder to work in and to keep")
    args = parser.parse_args()
    rows = chosen(args.rows)
    if args.list:
        print("\n".join(f"{row.name:32} {row.expected}" for row in rows))
        return 0
    work = args.work or Path(tempfile.mkdtemp(prefix="drill-"))
    work.mkdir(exist_ok=True)
    try:
        Reference(work).make()
        fork = multiprocessing.get_context("fork")
        results = []
        with ProcessPoolExecutor(args.jobs, fork, max_tasks_per_child=None) as pool:
            for future in as_completed([pool.submit(_run, row.name, work) for row in rows]):
                results.append(future.result())
                print(_line(results[-1]), flush=True)
    finally:
        if not args.work:
            shutil.rmtree(work, ignore_errors=True)
    order = {row.name: index for index, row in enumerate(rows)}
    print("\n".join(["", *map(_line, sorted(results, key=lambda result: order[result.row]))]))
    counts = {v: sum(r.verdict == v for r in results) for v in ("held", "NOT HELD", "skipped")}
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return int(counts["NOT HELD"] > 0)


if __name__ == "__main__":
    sys.exit(main())
