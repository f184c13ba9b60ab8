"""Kill, fill, poison and change the recipes, and print a table of what held: ``make drill``."""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
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
    log = os.open(
        work / f"{name.replace(' ', '_').replace('/', '_')}.out", os.O_CREAT | os.O_WRONLY
    )
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    signal.signal(signal.SIGTERM, _stopped)
    try:
        return run(ROWS[name], Reference(work))
    except KeyboardInterrupt:
        os._exit(1)  # it has cleaned up; the pool would give it another row


def _stopped(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough, and cleaning up takes time
    raise KeyboardInterrupt


def _results(rows: list[Row], jobs: int, work: Path) -> Iterator[Result]:
    """Rows that need no reference run while it is being made."""
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        reference = pool.submit(Reference(work).make)
        futures = {pool.submit(_run, row.name, work): row for row in rows if row.alone}
        pending = {reference, *futures}
        try:
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    if future is not reference:
                        yield _result(future, futures[future])
                        continue
                    future.result()
                    more = {pool.submit(_run, row.name, work): row for row in rows if not row.alone}
                    futures.update(more)
                    pending.update(more)
        except BaseException:
            for worker in multiprocessing.active_children():
                worker.terminate()
            pool.shutdown(cancel_futures=True)
            raise


def _result(future: Future[Result], row: Row) -> Result:
    try:
        return future.result()
    except BrokenProcessPool as error:
        return Result(row.name, row.expected, "NOT HELD", f"crashed: {error}", 0.0)


def _clean(work: Path) -> None:
    """End and unmount what rows that were killed have left below ``work``."""
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            pid = int(link.parent.name)
            if pid != os.getpid() and work in link.readlink().parents:
                os.kill(pid, signal.SIGKILL)
    for line in Path("/proc/mounts").read_text().splitlines():
        if work in Path(line.split()[1]).parents:
            subprocess.run(["umount", "-l", line.split()[1]], check=False)


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
    work = (args.work or Path(tempfile.mkdtemp(prefix="drill-"))).resolve()
    work.mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, _stopped)
    results = []
    try:
        for result in _results(rows, args.jobs, work):
            results.append(result)
            print(_line(result), flush=True)
    finally:
        _clean(work)
        if not args.work:
            shutil.rmtree(work, ignore_errors=True)
    order = {row.name: index for index, row in enumerate(rows)}
    print("\n".join(["", *map(_line, sorted(results, key=lambda result: order[result.row]))]))
    counts = {v: sum(r.verdict == v for r in results) for v in ("held", "NOT HELD", "skipped")}
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return int(counts["NOT HELD"] > 0)


if __name__ == "__main__":
    sys.exit(main())
