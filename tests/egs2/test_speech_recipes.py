"""The speech recipes' own shell: miniature corpora become their sets, downloads resume."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from espnet_prune.speech import read_utterance_dir
from tests.egs2.test_meeting_recipes import WGET
from tests.speech.trees import make_librispeech, make_slurp

EGS2 = Path(__file__).parents[2] / "egs2"
TEMPLATE = EGS2 / "TEMPLATE"
RECIPES = ("librispeech_100/asr1", "librispeech/ssl1", "slurp/slu1")


@pytest.fixture
def recipe(tmp_path: Path):
    """Make the recipes' folders beside each other and return a runner of scripts in one."""
    for name in RECIPES:
        folder = tmp_path / "egs2" / name
        folder.mkdir(parents=True)
        (folder / "local").symlink_to(EGS2 / name / "local")
        (folder / "utils").symlink_to(TEMPLATE / "utils")
        (folder / "path.sh").symlink_to(TEMPLATE / "diar1" / "path.sh")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "wget").write_text(WGET)
    (tools / "wget").chmod(0o755)

    def run(name: str, *command: object, **environment: str) -> subprocess.CompletedProcess:
        path = f"{tools}:{os.environ['PATH']}"
        variables = {**os.environ, "python": sys.executable, "PATH": path, **environment}
        return subprocess.run(
            [*map(str, command)],
            cwd=tmp_path / "egs2" / name,
            env=variables,
            capture_output=True,
            text=True,
        )

    return run


def numbers(folder: Path) -> dict[str, int]:
    """Return the number of utterances of each data directory."""
    return {path.name: len(read_utterance_dir(path).wavs) for path in folder.iterdir()}


@pytest.mark.parametrize(
    "name, make, option, sets",
    [
        ("librispeech_100/asr1", make_librispeech, "librispeech_dir", {
            "train_clean_100": 3, "dev": 2, "dev_clean": 1, "dev_other": 1, "test_clean": 2,
            "test_other": 1}),
        ("librispeech/ssl1", make_librispeech, "librispeech_dir",
         {"train_960": 5, "train_100": 3, "dev": 2}),
        ("slurp/slu1", make_slurp, "slurp_dir", {"train": 6, "devel": 2, "test": 2}),
    ],
)  # fmt: skip
def test_sets(recipe, tmp_path: Path, name: str, make, option: str, sets: dict[str, int]) -> None:
    corpus = make(tmp_path / "corpus")
    options = ["--seed", 0, "--nj", 2, f"--{option}", corpus, "--allow_incomplete", "true"]
    result = recipe(name, "local/data.sh", *options)
    assert result.returncode == 0, result.stderr
    assert numbers(tmp_path / "egs2" / name / "data") == sets


def test_a_part_is_refused(recipe, tmp_path: Path) -> None:
    corpus = make_slurp(tmp_path / "corpus")
    refused = recipe("slurp/slu1", "local/data.sh", "--slurp_dir", corpus)
    assert refused.returncode == 2 and "--allow_incomplete" in refused.stderr


def serve(folder: Path, sources: dict[str, Path]) -> dict[str, str]:
    """Make archives of folders, named as in the archive, for the stand-in of wget."""
    folder.mkdir()
    for name, source in sources.items():
        with tarfile.open(folder / f"{Path(name).name}.tar.gz", "w:gz") as archive:
            archive.add(source, name)
    return {"SERVED": str(folder)}


def test_librispeech_is_downloaded_as_needed(recipe, tmp_path: Path) -> None:
    tree = make_librispeech(tmp_path / "tree" / "LibriSpeech")
    parts = ("train-clean-100", "dev-clean", "dev-other")
    served = tmp_path / "served"
    environment = serve(served, {f"LibriSpeech/{part}": tree / part for part in parts})
    target = tmp_path / "downloads" / "LibriSpeech"
    command = ["librispeech/ssl1", "local/data.sh", "--sets", "train_100 dev", "--download", "true",
               "--allow_incomplete", "true", "--librispeech_dir", target]  # fmt: skip
    assert recipe(*command, LIMIT="1000", **environment).returncode != 0
    part = target.parent / "train-clean-100.tar.gz.part"
    assert part.stat().st_size == 1000
    result = recipe(*command, **environment)
    assert result.returncode == 0, result.stderr
    assert numbers(tmp_path / "egs2/librispeech/ssl1/data") == {"train_100": 3, "dev": 2}
    log = (served / ".log").read_text().splitlines()
    assert [line.split("/")[-1] for line in log] == [
        "train-clean-100.tar.gz", "train-clean-100.tar.gz", "dev-clean.tar.gz", "dev-other.tar.gz"
    ]  # fmt: skip
    assert all("--continue" in line and "openslr.org/resources/12/" in line for line in log)
    # Nothing is left to do, even without the archives.
    for archive in target.parent.glob("*.tar.gz"):
        archive.unlink()
    assert recipe(*command, **environment).returncode == 0
    assert len((served / ".log").read_text().splitlines()) == 4


def test_slurp_is_downloaded(recipe, tmp_path: Path) -> None:
    tree = make_slurp(tmp_path / "tree")
    repository = tmp_path / "repository"
    repository.mkdir()
    (tree / "dataset").rename(repository / "dataset")
    git = ["git", "-C", str(repository), "-c", "user.name=x", "-c", "user.email=x@x"]
    for words in (["init", "--quiet"], ["add", "dataset"], ["commit", "--quiet", "-m", "x"]):
        subprocess.run([*git, *words], check=True)
    served = tmp_path / "served"
    kinds = ("slurp_real", "slurp_synth")
    environment = serve(served, {kind: tree / "audio" / kind for kind in kinds})
    target = tmp_path / "downloads" / "slurp"
    command = ["slurp/slu1", "local/download.sh", "--repository", repository, "--version", "HEAD"]
    assert recipe(*command, target, LIMIT="700", **environment).returncode != 0
    result = recipe(*command, target, **environment)
    assert result.returncode == 0, result.stderr
    assert "zenodo.org/record/4274930/files/slurp_real.tar.gz" in (served / ".log").read_text()
    options = ["--allow_incomplete", "true", "--slurp_dir", target]
    result = recipe("slurp/slu1", "local/data.sh", *options)
    assert result.returncode == 0, result.stderr
    assert numbers(tmp_path / "egs2/slurp/slu1/data") == {"train": 6, "devel": 2, "test": 2}


def test_a_damaged_archive(recipe, tmp_path: Path) -> None:
    (tmp_path / "dev-clean.tar.gz").write_bytes(b"changed")
    target = tmp_path / "downloads" / "LibriSpeech"
    command = ["librispeech_100/asr1", "local/download.sh"]
    result = recipe(*command, target, "dev-clean", SERVED=str(tmp_path))
    assert result.returncode == 2 and "found a damaged one in" in result.stderr
    result = recipe(*command, tmp_path / "downloads" / "libri", "dev-clean")
    assert result.returncode == 2 and "expected a FOLDER named LibriSpeech" in result.stderr
    assert recipe(*command).returncode == 2


def test_help(recipe) -> None:
    for name, option in zip(
        RECIPES, ("librispeech_dir", "librispeech_dir", "slurp_dir"), strict=True
    ):
        text = recipe(name, "local/data.sh", "--help").stdout
        assert f"--{option} (downloads/" in text and "--download (false)" in text
        assert "CC BY" in text
    assert "CC BY-NC 4.0" in recipe("slurp/slu1", "local/download.sh", "--help").stdout
