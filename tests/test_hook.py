"""Hosts know this project once they are imported, and nothing happens before or besides."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata

import pytest

ASR = "from espnet2.tasks import asr; print('pruned_ssl' in asr.frontend_choices.classes)"
SPAWNED = f"""
import multiprocessing

def child():
    {ASR}

if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=child)
    process.start()
    process.join()
"""


def python(*command, folder=None, **environment):
    """What a Python that starts here and now prints, and what it says on stderr."""
    run = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, **environment},
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return run.stdout, run.stderr


@pytest.fixture
def strange_host(tmp_path):
    """An ``espnet2.tasks.asr`` that has nothing of what ours expects."""
    tasks = tmp_path / "espnet2/tasks"
    tasks.mkdir(parents=True)
    for folder in (tasks, tasks.parent):
        (folder / "__init__.py").touch()
    for name in ("asr", "slu"):
        (tasks / f"{name}.py").write_text("frontend_choices = 'of another kind'\n")
    return tmp_path


def test_the_installed_distribution_brings_it_and_takes_it_away():
    # Beside the sources lies an egg-info as well, which lists other files.
    found = metadata.distributions(name="espnet_prune")
    files = {file.name for distribution in found for file in distribution.files or ()}
    assert "espnet_prune_hook.pth" in files


def test_starting_python_loads_neither_hosts_nor_us():
    loaded = "print([m for m in sys.modules if m.startswith(('torch', 'espnet', 's3prl'))])"
    out, err = python("-c", f"import sys; {loaded}")
    assert out.strip() == "['espnet_prune_hook']" and err == ""


def test_espnet_knows_it_in_a_spawned_child(tmp_path):
    pytest.importorskip("espnet2")
    (tmp_path / "parent.py").write_text(SPAWNED)
    assert python(str(tmp_path / "parent.py"))[0].splitlines()[-1] == "True"


def test_a_strange_host_is_left_alone_with_one_line(strange_host):
    both = "import espnet2.tasks.asr, espnet2.tasks.slu; print(espnet2.tasks.asr.frontend_choices)"
    out, err = python("-c", both, folder=strange_host)
    assert out == "of another kind\n"
    assert (
        err.count(
            "espnet_prune stays out of espnet2.tasks.asr, expected a version of docs/hosts.md"
        )
        == 1
    )
    assert len(err.splitlines()) == 1
    assert python("-c", both, folder=strange_host, ESPNET_PRUNE_HOOK="0") == (out, "")


def test_the_launcher_says_that_it_is_not_needed(tmp_path):
    (tmp_path / "script.py").write_text("print('ran')\n")
    out, err = python("-m", "s3prl_plugin.run", str(tmp_path / "script.py"))
    assert out == "ran\n" and err.startswith("python -m s3prl_plugin.run is deprecated")
