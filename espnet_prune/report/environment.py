"""Where results come from: date, versions, and the commit of the recipe."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

import torch


@dataclass(frozen=True)
class Environment:
    """What ESPnet lists under "Environments"; None where there is no such thing."""

    date: str
    python: str
    torch: str
    espnet: str | None
    git_commit: str | None
    git_date: str | None


def this_environment() -> Environment:
    """Describe this process; the commit is that of the working directory."""
    commit, date = _git_commit()
    return Environment(
        date=datetime.now().astimezone().isoformat(timespec="seconds"),
        python=platform.python_version(),
        torch=str(torch.__version__),
        espnet=_version("espnet"),
        git_commit=commit,
        git_date=date,
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> tuple[str | None, str | None]:
    command = ["git", "log", "-1", "--format=%H %cI"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository
        return None, None
    commit, date = shown.split()
    return commit, date
