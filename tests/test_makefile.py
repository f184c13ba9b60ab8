"""`make install` and the extras choose the newest hosts that a Python can have."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
NEWEST = {"espnet==202611", "espnet-s3prl==2026.5.14"}
OLDER = {"espnet==202511", "s3prl==0.4.18", "torch==2.8.0", "torchaudio==2.8.0"}


def requirements(extra: str, python: str) -> set[str]:
    """What an extra asks for on a Python."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options.extras_require"][extra].split("\n")
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    environment = {"python_version": python}
    return {
        f"{each.name}{each.specifier}"
        for each in found
        if each.marker is None or each.marker.evaluate(environment)
    }


def pinned(extra: str, python: str) -> set[str]:
    """Those of its requirements that ask for one version."""
    return {each for each in requirements(extra, python) if "==" in each}


@pytest.mark.parametrize(
    ("python", "expected"),
    [("3.10", OLDER), ("3.11", OLDER), ("3.12", NEWEST), ("3.13", NEWEST)],
)
def test_the_extras_take_the_newest_pair(python, expected):
    assert pinned("espnet", python) | pinned("s3prl", python) == expected
    assert pinned("superb", python) == pinned("s3prl", python)
    pair = (
        ("espnet-202611", "s3prl-2026") if expected is NEWEST else ("espnet-202511", "s3prl-0418")
    )
    for name, version in zip(("espnet", "s3prl"), pair, strict=True):
        assert requirements(name, python) == requirements(version, python)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What an installation reads, and Pythons that only tell a version."""
    for name in ("Makefile", "setup.cfg", "setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", [(3, 9), (3, 14)])
def test_another_python_is_refused_in_one_line(checkout, version):
    python = checkout / "python"
    told = f"import sys; sys.version_info = {(*version, 0)}; exec(sys.argv[1])"
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exec python3 -c "{told}" "$2"\nexit 7\n')
    python.chmod(0o755)
    run = make(checkout, "install", f"PYTHON={python}")
    found = "expected Python 3.10 to 3.13, found {}.{}; call make PYTHON=python3.12"
    assert run.returncode == 2 and found.format(*version) in run.stderr.splitlines()
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("pair", ["espnet-202611", "espnet-202511"])
def test_a_missing_python_fails(checkout, pair):
    run = make(checkout, "test-hosts", f"HOSTS={pair}", "PYTHON312=gone", "PYTHON311=gone")
    assert run.returncode == 2
    assert "expected gone, found none; install it, or call make PYTHON=" in run.stderr
