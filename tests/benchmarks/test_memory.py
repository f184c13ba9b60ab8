"""Peak memory: each measurement is its own."""

import subprocess
import sys

import pytest

# Small tensors come from glibc's heap, and one that stays at its top keeps the freed ones there.
_PROGRAM = """
import torch
from benchmarks.memory import PeakOfProcess
peak = PeakOfProcess()
many = [torch.ones(2000) for _ in range(30000)]
top = torch.ones(2000)
print(peak.restart())
del many
print(peak.restart())
print(peak.restart())
"""


def test_the_next_peak_is_without_what_was_freed():
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    if "None" in done.stdout:
        pytest.skip("this system tells no peak")
    while_there, _, after = map(float, done.stdout.split())
    assert while_there > 200  # 30000 times 8 kB
    assert after < while_there / 4
