"""The recipes inside an ESPnet checkout: put there as the page says, beside ESPnet's own."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.egs2.espnet_checkout import NAMES, ROOT, documented_command, make_checkout

# What ESPnet has no name like: its tasks are asr1, diar1, asr2, ..., its corpora known ones.
OURS = re.compile(r"mini_corpus/|TEMPLATE/(\w+_prune1|prune_utils)/|\w+/\w+_prune1/")
RECIPES = sorted(
    path.parent.relative_to(ROOT) for path in (ROOT / "egs2").glob("*/*_prune1/run.sh")
)


def tracked() -> list[Path]:
    """Paths of the repository's recipes, without what running them makes."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "egs2"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [Path(name) for name in names.splitlines() if os.path.lexists(ROOT / name)]


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess:
    """Run a script of a recipe as a user does, whose Python is not known to it yet."""
    known = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
    environment = known | {"OMP_NUM_THREADS": "1"} | variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_no_name_is_one_of_espnets():
    names = [str(path.relative_to("egs2")) for path in tracked()]
    assert len(names) > 500
    assert not [name for name in names if not OURS.match(name)]
    assert not {*names} & {*NAMES}
    assert not any(OURS.match(name) for name in NAMES)


def test_links_stay_inside():
    for path in tracked():
        if (ROOT / path).is_symlink():
            target = (ROOT / path).readlink()
            assert not target.is_absolute(), path
            inside = Path(os.path.normpath(path.parent / target))
            assert inside.is_relative_to("egs2") and (ROOT / path).exists(), path


def test_pages_link_to_what_is_copied():
    for page in (ROOT / "egs2").rglob("README.md"):
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if not re.match(r"https?:|#", target):
                found = Path(os.path.normpath(page.parent / target.partition("#")[0]))
                assert found.is_relative_to(ROOT / "egs2"), f"{page} links to {target}"


def test_the_command_stands_in_the_readme_as_well():
    assert documented_command() in (ROOT / "README.md").read_text()


def test_it_adds_and_changes_nothing(checkout: Path, tmp_path: Path):
    former = make_checkout(tmp_path / "espnet")
    for path in sorted((former / "egs2").rglob("*")):
        copied = checkout / path.relative_to(former)
        assert path.is_symlink() == copied.is_symlink(), path
        if path.is_symlink():
            assert path.readlink() == copied.readlink()
        elif path.is_file():
            assert path.read_bytes() == copied.read_bytes()
    for path in tracked():
        source, copied = ROOT / path, checkout / path
        assert source.is_symlink() == copied.is_symlink() and copied.exists(), path
        if source.is_symlink():
            assert source.readlink() == copied.readlink()
        elif source.is_file():
            assert source.read_bytes() == copied.read_bytes()
            assert os.access(source, os.X_OK) == os.access(copied, os.X_OK)


@pytest.mark.parametrize(
    "recipe", RECIPES, ids=lambda recipe: f"{recipe.parent.name}-{recipe.name}"
)
def test_every_recipe_shows_its_help(checkout: Path, recipe: Path):
    shown = run(checkout / recipe, "./run.sh", "--help")
    assert shown.returncode == 0 and "Stages" in shown.stdout and not shown.stderr


def test_a_recipe_runs_with_the_python_of_the_checkout(checkout: Path):
    folder = checkout / "egs2/mini_speech/slu_prune1"
    options = ["--stop_stage", "1", "--pretrained_model", "none"]
    done = run(folder, "./run.sh", *options, PATH="/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    assert (folder / "data/test/wav.scp").read_text().count("\n") == 62
    again = run(folder, "./run.sh", *options, PATH="/usr/bin:/bin")
    assert again.stdout.count("finished already") == 1
    code = "import egs2.mini_speech; print(*egs2.mini_speech.__path__)"
    path = run(folder, "bash", "-c", f'. ./path.sh; python3 -c "{code}"; echo "${{EXTRA_PATH}}"')
    assert path.stdout.split()[0] == str(checkout / "egs2/mini_speech"), path.stderr
    assert path.stdout.split()[-1] == "there"


def test_a_python_without_this_project_is_refused(checkout: Path, tmp_path: Path):
    bare = tmp_path / "python"
    bare.write_text('#!/bin/sh\nunset PYTHONPATH\nexec python3 -I -S "$@"\n')
    bare.chmod(0o755)
    folder = checkout / "egs2/mini_speech/asr_prune1"
    refused = run(folder, "./run.sh", "--stop_stage", "1", "--python", str(bare))
    assert refused.returncode != 0 and refused.stderr.count("\n") == 1
    assert "expected espnet_prune in" in refused.stderr and "pip install" in refused.stderr
