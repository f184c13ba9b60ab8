"""Quick rows: kill, signals, two at once and a full disk, in stages that take no time."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.drill import stub
from tests.drill.full import FILLER, small_disk
from tests.drill.recipe import Run, until
from tests.drill.rows import Skipped

SLOW = "distill_train"  # of stage 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return stub.make(tmp_path / "diar_prune1")


def finish(folder: Path, first: int, last: int, *options: str) -> Run:
    run = stub.begin(folder, first, last, *options)
    run.wait(20)
    return run


@pytest.fixture
def in_stage_6(folder: Path):
    """A run in the middle of a training."""
    assert finish(folder, 4, 5).process.returncode == 0
    (folder / "slow").write_text(SLOW)
    run = stub.begin(folder, 6, 6)
    assert until(lambda: SLOW in stub.calls(folder), run, 30)
    yield run
    (folder / "slow").unlink(missing_ok=True)
    run.end()


def test_all_stages_then_nothing(folder: Path) -> None:
    run = finish(folder, 4, 9)
    assert run.process.returncode == 0, run.said
    before = stub.calls(folder)
    assert finish(folder, 4, 9).said.count("finished already") == 6
    assert stub.calls(folder) == before


def test_a_killed_stage_is_repeated(folder: Path, in_stage_6: Run) -> None:
    in_stage_6.kill()
    in_stage_6.process.wait()
    (folder / "slow").unlink()
    assert "finished already" not in finish(folder, 6, 6).said
    assert "finished already" in finish(folder, 6, 6).said


@pytest.mark.parametrize("group", [True, False], ids=["group", "shell"])
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_all(in_stage_6: Run, sig: signal.Signals, group: bool) -> None:
    in_stage_6.kill(sig) if group else os.kill(in_stage_6.process.pid, sig)
    end = time.monotonic() + 60  # it is nice to whatever else the machine does
    while in_stage_6.running() and time.monotonic() < end:
        time.sleep(0.02)
    assert not in_stage_6.running() and in_stage_6.process.wait() != 0


def test_the_second_of_two_is_refused(folder: Path, in_stage_6: Run) -> None:
    second = finish(folder, 6, 6, "--seed", "1")
    assert second.process.returncode == 2
    assert str(in_stage_6.process.pid) in second.said
    assert stub.calls(folder).count(SLOW) == 1
    (folder / "slow").unlink()
    assert in_stage_6.wait(60) == 0


def test_a_full_disk(folder: Path) -> None:
    assert finish(folder, 4, 5).process.returncode == 0
    (folder / "large").write_text(SLOW)
    try:
        with small_disk(folder / "exp", 100_000):
            full = finish(folder, 6, 6)
            assert full.process.returncode != 0
            (folder / "exp" / FILLER).unlink()
            assert "finished already" not in finish(folder, 6, 6).said
            assert "finished already" in finish(folder, 6, 6).said
    except Skipped as reason:
        pytest.skip(str(reason))
