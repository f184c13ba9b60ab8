"""What a benchmark starts does not outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What each of them starts in the place of Python sleeps for longer than any test.
STARTS = {
    "examination": "from benchmarks.memory import run_alone; run_alone('any', 'any', [])",
    "busy": "import signal; from benchmarks.pipeline import busy\nwith busy(1): signal.pause()",
    "pipeline": "from benchmarks import pipelines, pipeline_worker as p\n"
    "p.Worker(p.Subject(pipelines.OURS), 'any.wav', 'any', 1, 0)",
    "service": "from benchmarks.run_load import service\nwith service('any', []): pass",
}


def living(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's kernel")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("start", STARTS)
def test_children_end_with_their_parent(start: str, end: signal.Signals, tmp_path: Path) -> None:
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 600\n")
    sleeper.chmod(0o755)
    code = f"import sys; sys.executable = {str(sleeper)!r}\n{STARTS[start]}"
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    try:
        while not (found := children.read_text().split()):
            assert parent.poll() is None, "it ended before it had a child"
            time.sleep(0.05)
    finally:
        parent.send_signal(end)
        parent.wait()
    child, deadline = int(found[0]), time.monotonic() + 10
    while living(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    if lives_on := living(child):
        os.kill(child, signal.SIGKILL)
    assert not lives_on
