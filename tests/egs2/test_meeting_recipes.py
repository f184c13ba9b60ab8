"""The meeting recipes' own shell: miniature corpora become their sets, downloads resume."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from espnet_prune.data.meetings import read_data_dir
from tests.data.corpora.meetings.trees import SIZES, make_tree

EGS2 = Path(__file__).parents[2] / "egs2"
SHARED = EGS2 / "ami_aishell4_alimeeting/diar_prune1"

# Stands for wget: serves files of a folder, resumes, and can be interrupted in the middle.
WGET = """#!/usr/bin/env bash
set -eu
echo "$@" >> "$SERVED/.log"
output=$(echo "$@" | sed -E 's/.*--output-document ([^ ]+).*/\\1/')
url=${@: -1}
size=$(stat -c %s "$output" 2> /dev/null || echo 0)
tail -c +$((size + 1)) "$SERVED/${url##*/}" | head -c "${LIMIT:-1000000000}" >> "$output"
[ -z "${LIMIT:-}" ]
"""


@pytest.fixture
def recipe(tmp_path: Path):
    """Make a recipe folder beside a link to the combined one and return a runner of scripts."""

    def make(name: str):
        folder = tmp_path / name / "diar_prune1"
        folder.mkdir(parents=True)
        for link in ("local", "path.sh", "utils"):
            (folder / link).symlink_to((EGS2 / name / "diar_prune1" / link).resolve())
        shared = tmp_path / "ami_aishell4_alimeeting"
        if not shared.exists():
            shared.symlink_to(SHARED.parent)

        def run(*command: object, **environment: str) -> subprocess.CompletedProcess:
            variables = {**os.environ, "python": sys.executable, **environment}
            return subprocess.run(
                [*map(str, command)], cwd=folder, env=variables, capture_output=True, text=True
            )

        return folder, run

    return make


def test_one_corpus(recipe, tmp_path: Path) -> None:
    folder, run = recipe("ami")
    corpus = make_tree("ami", tmp_path / "corpus")
    options = ["--seed", 0, "--nj", 2, "--ami_dir", corpus]
    refused = run("local/data.sh", *options)
    assert refused.returncode == 2 and "--allow_incomplete" in refused.stderr
    result = run("local/data.sh", *options, "--allow_incomplete", "true")
    assert result.returncode == 0, result.stderr
    for split, number in SIZES["ami"].items():
        assert len(read_data_dir(folder / "data" / split).wavs) == number


@pytest.mark.parametrize("name", SIZES)
def test_a_recipe_asks_for_its_own_corpus(name: str) -> None:
    local = EGS2 / name / "diar_prune1/local"
    assert f"data.sh --corpora {name} " in (local / "data.sh").read_text()
    assert f"download.sh --corpus {name} " in (local / "download.sh").read_text()


def test_three_corpora(recipe, tmp_path: Path) -> None:
    folder, run = recipe("ami_aishell4_alimeeting")
    options = ["--allow_incomplete", "true"]
    for name in SIZES:
        options += [f"--{name}_dir", make_tree(name, tmp_path / "corpora" / name)]
    result = run("local/data.sh", *options)
    assert result.returncode == 0, result.stderr
    sizes = {"train": 7, "dev": 3, "ami_test": 1, "aishell4_test": 1, "alimeeting_test": 1}
    for name, number in sizes.items():
        assert len(read_data_dir(folder / "data" / name).wavs) == number


def test_download_resumes_and_unpacks(recipe, tmp_path: Path) -> None:
    _, run = recipe("aishell4")
    tree, served, target = tmp_path / "tree", tmp_path / "served", tmp_path / "target"
    make_tree("aishell4", tree)
    served.mkdir()
    for part in ("train_L", "train_M", "train_S", "test"):
        with tarfile.open(served / f"{part}.tar.gz", "w:gz") as archive:
            archive.add(tree / part, part)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "wget").write_text(WGET)
    (tools / "wget").chmod(0o755)
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "SERVED": str(served)}
    assert run("local/download.sh", target, LIMIT="1000", **environment).returncode != 0
    assert (target / "train_L.tar.gz.part").stat().st_size == 1000
    result = run("local/download.sh", target, **environment)
    assert result.returncode == 0, result.stderr
    log = (served / ".log").read_text().splitlines()
    assert len(log) == 5 and all("--continue" in line for line in log)
    for path in (path for path in tree.rglob("*") if path.is_file()):
        assert (target / path.relative_to(tree)).read_bytes() == path.read_bytes()
    # Nothing is left to do, even without the archives.
    for archive in target.glob("*.tar.gz"):
        archive.unlink()
    assert run("local/download.sh", target, **environment).returncode == 0
    assert len((served / ".log").read_text().splitlines()) == 5


def test_download_of_a_wrong_size_or_corpus(recipe, tmp_path: Path) -> None:
    _, run = recipe("alimeeting")
    (tmp_path / "Train_Ali_far.tar.gz").write_bytes(b"changed")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "wget").write_text(WGET)
    (tools / "wget").chmod(0o755)
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "SERVED": str(tmp_path)}
    result = run("local/download.sh", tmp_path / "target", **environment)
    assert result.returncode == 2 and "expected 78639309701 bytes" in result.stderr
    wrong = run("local/download.sh", "--corpus", "chime", tmp_path / "target")
    assert wrong.returncode == 2 and "found 'chime'" in wrong.stderr
    assert run("local/download.sh").returncode == 2


def test_help(recipe) -> None:
    _, run = recipe("ami")
    text = run("local/data.sh", "--help").stdout
    assert "--ami_dir (downloads/ami)" in text and "--download (false)" in text
    assert "--aishell4_mirror (https://" in run("local/download.sh", "--help").stdout
