"""Rows that end processes: kill -9 anywhere, TERM and INT, a loader worker, two runs at once."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from functools import partial
from pathlib import Path

from tests.drill.recipe import (
    OPTIONS,
    STAGES,
    TRAININGS,
    Reference,
    Run,
    call,
    processes,
    running,
    until,
)
from tests.drill.rows import Row, folder_of, wrong

_WORKER = OPTIONS["pruning_args"].replace("num_workers 0", "num_workers 1")


def again(reference: Reference, folder: Path, stage: int, **options: str) -> str:
    """What is wrong after a second start of a stage."""
    status, said = call(folder, stage, **options)
    changes = reference.changes(folder, stage)
    return wrong(second_start=said[-300:] if status else "", other_artefacts=changes)


def hidden(folder: Path) -> set[Path]:
    """Temporary files: hidden ones in folders that are not."""
    return {
        Path(top, name)
        for part in ("data", "dump", "exp")
        for top, folders, names in os.walk(folder / part)
        if not any(piece.startswith(".") for piece in Path(top).relative_to(folder).parts)
        for name in names
        if name.startswith(".")
    }


def _killed_twice(reference: Reference, stage: int) -> str:
    """At random and while a file is being written, which comes first where there are several."""
    folder = folder_of(reference, f"kill {stage}", stage - 1) if stage > 1 else _first(reference)
    kills = [_kill_at_random, _kill_in_a_write]
    if stage in TRAININGS:
        kills.reverse()
    hits = [kill(reference, folder, stage) for kill in kills]
    return wrong(caught_a_write=all(hits) or stage not in TRAININGS) or again(
        reference, folder, stage
    )


def _kill_at_random(reference: Reference, folder: Path, stage: int) -> bool:
    with running(folder, stage) as run:
        delay = random.Random(stage).uniform(0.15, 0.85) * reference.seconds(stage)
        until(partial(_past, time.monotonic() + delay), run)
        run.kill()
    return True


def _past(moment: float) -> bool:
    return time.monotonic() > moment


def _first(reference: Reference) -> Path:
    folder = folder_of(reference, "kill 1", 1)
    for top in ("data", "dump", "exp"):
        os.rename(folder / top, folder / f"{top}.before") if (folder / top).exists() else None
    return folder


def _kill_in_a_write(reference: Reference, folder: Path, stage: int) -> bool:
    """Kill while the first, second or third temporary file is open; whether there was one."""
    before, seen = hidden(folder), set()
    nth = random.Random(stage).randrange(1, 4 if stage in TRAININGS else 2)

    def writing() -> bool:
        seen.update(hidden(folder) - before)
        return len(seen) >= nth

    with running(folder, stage) as run:
        hit = until(writing, run)
        run.kill() if hit else run.wait()
    return hit


def _signalled(reference: Reference, stage: int, sig: signal.Signals, group: bool) -> str:
    folder = folder_of(reference, f"{sig.name} {stage} {group}", stage - 1)
    options = {"pruning_args": _WORKER} if stage == 6 else {}
    with running(folder, stage, **options) as run:
        if stage == 6:
            hit = until((folder / "exp/prune_train/checkpoint.pth").exists, run)
        else:
            hit = until(partial(_past, time.monotonic() + 0.5 * reference.seconds(stage)), run)
        run.kill(sig) if group else os.kill(run.process.pid, sig)
        end = time.monotonic() + 15
        while run.running() and time.monotonic() < end:
            time.sleep(0.05)
        left = len(run.running())
        status = run.process.poll()
    return wrong(
        hit=hit,
        still_running=f"{left} processes" if left else "",
        failed=status != 0,
        second_start=again(reference, folder, stage, **options),
    )


def _workers(run: Run) -> list[int]:
    """The loader workers of a run: copies of the training that forked them."""
    found = {}
    for pid, fields in processes():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            trains = words[1:2] == [b"-m"] and words[2].endswith(b"_train")
            if int(fields[3]) == run.process.pid and trains:
                found[pid] = int(fields[1])
    return [pid for pid, parent in found.items() if parent in found]


def _worker_killed(reference: Reference) -> str:
    folder, workers = reference.fresh("worker", 5), []
    longer = _WORKER.replace("epoch 14", "epoch 60")
    with running(folder, 6, pruning_args=longer) as run:
        hit = until(lambda: workers.extend(_workers(run)) or workers, run)
        for pid in workers[:1]:
            os.kill(pid, signal.SIGKILL)
        status, said = run.wait(90), run.said
    ended = wrong(hit=hit, failed=status != 0, says_worker="worker" in said.lower())
    return ended or again(reference, folder, 6)


def _two_at_once(reference: Reference, **options: str) -> str:
    folder = folder_of(reference, f"two {len(options)}", 5)
    with running(folder, 6) as first:
        hit = until((folder / "exp/prune_train/checkpoint.pth").exists, first)
        log = first.log.rename(folder / "first.log")
        with running(folder, 6, **options) as second:
            status = second.wait(60)
            lines = [line for line in second.said.splitlines() if line.strip()]
        won = first.wait()
    named = any(any(c.isdigit() for c in line) for line in lines[-2:])
    return wrong(
        hit=hit,
        refused=status == 2,
        holder_named=named and len(lines) < 6,
        winner=log.read_text()[-200:] if won else "",
        other_artefacts=reference.changes(folder, 6),
    )


def _orphan(reference: Reference) -> str:
    folder = folder_of(reference, "orphan", 5)
    with running(folder, 6) as first:
        hit = until((folder / "exp/prune_train/checkpoint.pth").exists, first)
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        end = time.monotonic() + 10
        while first.running() and time.monotonic() < end:
            time.sleep(0.05)
        if first.running():
            status, _ = call(folder, 6)
            held = wrong(refused_while_an_orphan_trains=status == 2)
        else:
            held = ""
    return wrong(hit=hit) or held or again(reference, folder, 6)


EQUAL = "the next call gives the reference's artefacts, no temporaries"
ROWS = [
    *(Row(f"kill {k}", f"twice; {EQUAL}", partial(_killed_twice, stage=k)) for k in STAGES),
    *(
        Row(
            f"signal {sig.name} {'group' if group else 'shell'} {k}",
            f"all ends; {EQUAL}",
            partial(_signalled, stage=k, sig=sig, group=group),
        )
        for k, sig, group in (
            (6, signal.SIGTERM, True),
            (6, signal.SIGTERM, False),
            (6, signal.SIGINT, True),
            (6, signal.SIGINT, False),
            (10, signal.SIGTERM, False),
            (10, signal.SIGINT, True),
        )
    ),
    Row("worker killed", f"fails in words; {EQUAL}", _worker_killed),
    Row("two same", "the second ends with 2 and names the holder", _two_at_once),
    Row("two seeds", "the same", partial(_two_at_once, seed="1")),
    Row("two orphan", "a trainer without its shell ends or holds the lock", _orphan),
]
