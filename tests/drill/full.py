"""Rows in which the disk fills up: ``exp`` lies on a small tmpfs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.drill.kills import again
from tests.drill.recipe import FOLDER, TRAININGS, Reference, call
from tests.drill.rows import Row, Skipped, folder_of, wrong

FILLER = "filler"


@contextmanager
def small_disk(folder: Path, room: int) -> Iterator[None]:
    """``folder``, with what is in it, on a disk with ``room`` bytes free, until the block ends.

    Raises:
        Skipped: only root may mount.
    """
    if os.geteuid():
        raise Skipped("needs root, to mount a tmpfs")
    stored = folder.with_name(f"{folder.name}.stored")
    folder.rename(stored)
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", folder]).returncode:
        raise Skipped("needs a machine that allows to mount a tmpfs")
    try:
        subprocess.run(["cp", "-a", f"{stored}/.", folder], check=True)
        fill(folder, room)
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _whole(folder: Path) -> dict[Path, bytes]:
    paths = (p for p in folder.rglob("*.safetensors"))
    return {path: hashlib.sha1(path.read_bytes()).digest() for path in paths}


def _full(reference: Reference, stage: int, rooms: tuple[str, ...]) -> str:
    """The stage with each room in turn, then with enough after the last."""
    folder = folder_of(reference, f"full {stage} {len(rooms)}", stage - 1)
    exp, problems = folder / "exp", []
    exp.mkdir(exist_ok=True)
    with small_disk(exp, 0):
        for room in rooms:
            (exp / FILLER).unlink()
            if stage in TRAININGS:  # which would go on with what had room before
                shutil.rmtree(exp / FOLDER[stage], ignore_errors=True)
            fill(exp, _bytes(reference, stage, room))
            before = _whole(exp)
            status, said = call(folder, stage)
            after = _whole(exp)
            # What no longer fits may have been taken away with the rest of a stage, but not cut.
            problems.append(
                wrong(
                    **{f"failed_with_{room}": status != 0},
                    one_line="no space left" in said.lower(),
                    short=said.count("\n") < 60 and "Traceback" not in said,
                    intact=all(after.get(path, value) == value for path, value in before.items()),
                )
            )
        (exp / FILLER).unlink()
        problems.append(again(reference, folder, stage))
    return "; ".join(filter(None, problems))


def fill(folder: Path, room: int) -> None:
    disk = os.statvfs(folder)
    with open(folder / FILLER, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, disk.f_bavail * disk.f_frsize - room))


def _bytes(reference: Reference, stage: int, room: str) -> int:
    if room == "nothing":
        return 0
    training = reference.folder / str(stage) / "exp" / FOLDER[stage]
    checkpoint = (training / "checkpoint.pth").stat().st_size
    epoch = (training / "latest.pth").stat().st_size
    return checkpoint + (epoch + 200_000 if room == "one checkpoint" else epoch // 2)


_ROOMS = ("nothing", "half an epoch file", "one checkpoint")
ROWS = [
    Row(
        f"full {stage}",
        'non-zero, a line "no space left", files stay whole; with room, the reference',
        partial(_full, stage=stage, rooms=_ROOMS if stage in TRAININGS else _ROOMS[:1]),
    )
    for stage in range(4, 14)
]
