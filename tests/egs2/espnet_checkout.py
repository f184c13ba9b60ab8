"""What an ESPnet checkout holds, by the names that matter to the recipes that are put into it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/recipes.md"

# Of ESPnet 202511 and 202611, written down by hand: the corpora that we have too, and TEMPLATE.
NAMES = dict(
    line.split(" -> ") if " -> " in line else (line, "")
    for line in (Path(__file__).parent / "espnet_files.txt").read_text().splitlines()
)
"""Paths in ``egs2``, and where those lead that are links."""

# The Python that ESPnet's installation chose, with this project installed.
PYTHON = """#!/bin/sh
export PYTHONPATH="${{PYTHONPATH:+${{PYTHONPATH}}:}}{root}"
exec "{python}" "$@"
"""


def make_checkout(folder: Path) -> Path:
    """The checkout, with Kaldi's folder of utils and a Python that ESPnet's installation chose."""
    kaldi = folder / "tools/kaldi/egs/wsj/s5"
    for name in ("utils", "steps"):
        (kaldi / name).mkdir(parents=True)
    for name, target in NAMES.items():
        path = folder / "egs2" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if target:
            path.symlink_to(target)
        else:
            path.write_text(f"ESPnet's own {name}\n")
    (folder / "python").mkdir()
    write_program(folder / "python/python3", PYTHON.format(python=sys.executable, root=ROOT))
    activate = f'export PATH="{folder / "python"}:${{PATH}}"\n'
    (folder / "tools/activate_python.sh").write_text(activate)
    (folder / "tools/extra_path.sh").write_text("export EXTRA_PATH=there\n")
    return folder


def documented_command() -> str:
    """The command of the page that puts the recipes into a checkout."""
    (line,) = [line for line in PAGE.read_text().splitlines() if line.startswith("    cp -a ")]
    return line.strip().partition("  #")[0].rstrip()


def put_recipes(checkout: Path, sources: Path) -> None:
    """Run the documented command in a copy of the repository's recipes, as they are published."""
    made = shutil.ignore_patterns("data", "dump*", "exp*", "downloads", "__pycache__")
    shutil.copytree(ROOT / "egs2", sources / "egs2", symlinks=True, ignore=made)
    environment = os.environ | {"ESPNET_ROOT": str(checkout)}
    command = ["bash", "-euc", documented_command()]
    subprocess.run(command, check=True, cwd=sources, env=environment)


def write_program(path: Path, text: str) -> None:
    """An executable file."""
    path.write_text(text)
    path.chmod(0o755)
