"""What results come from and were timed on: date, versions, commit of the recipe, device."""

from __future__ import annotations

import platform
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from statistics import median

import torch

from espnet_prune.encoder import SSLEncoder
from espnet_prune.inference.timing import in_turns

INPUT_SECONDS = 8.0
_REPETITIONS = 15


@dataclass(frozen=True)
class Environment:
    """What ESPnet lists under "Environments"; None where there is no such thing."""

    date: str
    python: str
    torch: str
    espnet: str | None
    git_commit: str | None
    git_date: str | None

    def markdown(self) -> str:
        """The list of it all in a RESULTS.md."""
        lines = [
            f"- date: `{self.date}`",
            f"- python version: `{self.python}`",
            f"- espnet version: `espnet {self.espnet or 'not installed'}`",
            f"- pytorch version: `pytorch {self.torch}`",
        ]
        if self.git_commit:
            lines += [f"- Git hash: `{self.git_commit}`", f"  - Commit date: `{self.git_date}`"]
        return "\n".join(lines)


def this_environment() -> Environment:
    """Describe this process; the commit is that of the working directory."""
    command = ["git", "log", "-1", "--format=%H %cI"]
    espnet: str | None = None
    commit: str | None = None
    date: str | None = None
    with suppress(PackageNotFoundError):
        espnet = version("espnet")
    with suppress(OSError, subprocess.CalledProcessError):  # no git, or no repository
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        commit, date = shown.split()
    return Environment(
        date=datetime.now().astimezone().isoformat(timespec="seconds"),
        python=platform.python_version(),
        torch=str(torch.__version__),
        espnet=espnet,
        git_commit=commit,
        git_date=date,
    )


def benchmark_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def median_seconds(dense: SSLEncoder, pruned: SSLEncoder) -> tuple[float, float]:
    """Median time of one input of ``INPUT_SECONDS`` through each encoder, in seconds."""
    device = benchmark_device()
    wav = torch.randn(1, round(INPUT_SECONDS * 16000), device=device)
    calls = [partial(encoder.to(device).eval(), wav) for encoder in (dense, pruned)]
    first, second = in_turns(calls, device, _REPETITIONS)
    return median(first), median(second)
