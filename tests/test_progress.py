"""Progress is a bar on a terminal, and plain lines, few of them, everywhere else."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from espnet_prune import progress as module
from espnet_prune.progress import counter, progress

ROOT = Path(__file__).parent.parent


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which each reading moves on by the second value."""
    now = [0.0, 1.0]

    def read() -> float:
        now[0] += now[1]
        return now[0]

    monkeypatch.setattr(module.time, "monotonic", read)
    monkeypatch.delenv("PROGRESS_FILE", raising=False)
    return now


@pytest.mark.parametrize("total", [20000, None])
def test_a_log_gets_plain_lines_ever_fewer(clock, capsys, total: int | None) -> None:
    assert sum(progress(iter(range(20000)), "wörk", total)) == sum(range(20000))
    text = capsys.readouterr().err
    lines = text.splitlines()
    # After 10 s, 20 s more and so on to 10 minutes: 6 lines in the first 640 s, then 32.
    assert 30 < len(lines) < 45 and all(line.startswith("wörk: ") for line in lines)
    assert not set(text) & set("\r\x1b\b")


def test_what_takes_seconds_is_not_told(clock, capsys) -> None:
    assert list(progress("abc", "short")) == ["a", "b", "c"]
    with counter("bytes", 10, "B") as advance:
        advance(10)
    assert capsys.readouterr().err == ""


def test_bytes_are_counted_as_such(clock, capsys) -> None:
    clock[1] = 100.0
    with counter("model.bin", 4 << 20, "B") as advance:
        advance(1 << 20)
    assert capsys.readouterr().err.startswith("model.bin:  25%|1.00M/4.00M [")


@pytest.mark.parametrize("gone", [False, True])
def test_a_terminal_gets_a_bar(clock, capsys, monkeypatch, gone: bool) -> None:
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    path = "/nowhere/tty" if gone else os.ttyname(inner)
    monkeypatch.setenv("PROGRESS_FILE", path)
    assert list(progress(range(3), "work")) == [0, 1, 2]
    os.set_blocking(outer, False)
    try:
        shown = os.read(outer, 10000)
    except BlockingIOError:
        shown = b""
    assert (b"work" in shown and b"\r" in shown) != gone
    os.close(outer), os.close(inner)


def test_it_is_the_one_place_of_bars() -> None:
    found = subprocess.run(
        ["git", "grep", "-lE", r"import tqdm|tqdm import", "--", "espnet_prune"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.split() == ["espnet_prune/progress.py"]
