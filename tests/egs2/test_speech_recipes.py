"""The speech recipes' own shell: corpora become their sets, downloads resume."""

from __future__ import annotations

import csv
import os
import runpy
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from espnet_prune.data import read_utterance_dir
from tests.data.corpora.utterances.trees import make_librispeech, make_slurp, make_speechocean762
from tests.egs2.test_meeting_recipes import WGET

EGS2 = Path(__file__).parents[2] / "egs2"
TEMPLATE = EGS2 / "TEMPLATE"
RECIPES = {
    "librispeech_100/asr_prune1": "librispeech_dir",
    "librispeech/ssl_prune1": "librispeech_dir",
    "slurp/slu_prune1": "slurp_dir",
    "speechocean762/asr_prune1": "speechocean762",
    "mini_speech/asr_prune1": "speechocean762",
    "mini_speech/slu_prune1": "picovoice_barista",
    "mini_speech/ssl_prune1": "corpora",
}
"""The option of each that names its corpus."""


@pytest.fixture
def recipe(tmp_path: Path):
    """Make the recipes' folders beside each other and return a runner of scripts in one."""
    for name in RECIPES:
        folder = tmp_path / "egs2" / name
        folder.mkdir(parents=True)
        (folder / "local").symlink_to(EGS2 / name / "local")
        (folder / "utils").symlink_to(TEMPLATE / "prune_utils")
        (folder / "path.sh").symlink_to(TEMPLATE / "diar_prune1" / "path.sh")
    (tmp_path / "egs2" / "mini_corpus").symlink_to(EGS2 / "mini_corpus")
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
    folders = sorted(path.parent for path in folder.rglob("wav.scp"))
    return {str(f.relative_to(folder)): len(read_utterance_dir(f).wavs) for f in folders}


@pytest.mark.parametrize(
    "name, make, sets",
    [
        ("librispeech_100/asr_prune1", make_librispeech, {
            "train_clean_100": 3, "dev": 2, "dev_clean": 1, "dev_other": 1, "test_clean": 2,
            "test_other": 1}),
        ("librispeech/ssl_prune1", make_librispeech, {"train_960": 5, "train_100": 3, "dev": 2}),
        ("slurp/slu_prune1", make_slurp, {"train": 6, "devel": 2, "test": 2}),
    ],
)  # fmt: skip
def test_sets(recipe, tmp_path: Path, name: str, make, sets: dict[str, int]) -> None:
    corpus = make(tmp_path / "corpus")
    options = [f"--{RECIPES[name]}", corpus, "--allow_incomplete", "true"]
    result = recipe(name, "local/data.sh", *options)
    assert result.returncode == 0, result.stderr
    assert numbers(tmp_path / "egs2" / name / "data") == sets


READ = {"train": 904, "dev": 96, "test": 384}
ORDERS = {"train": 124, "dev": 26, "test": 62}


@pytest.mark.parametrize(
    "name, sets",
    [
        ("mini_speech/asr_prune1", READ),
        ("mini_speech/ssl_prune1", {
            **{f"speechocean762/{name}": number for name, number in READ.items()},
            **{f"picovoice_barista/{name}": number for name, number in ORDERS.items()},
            "train": 904 + 124, "dev": 96 + 26}),
    ],
)  # fmt: skip
def test_the_embedded_corpus(recipe, tmp_path: Path, name: str, sets: dict[str, int]) -> None:
    result = recipe(name, "local/data.sh")
    assert result.returncode == 0, result.stderr
    assert numbers(tmp_path / "egs2" / name / "data") == sets


@pytest.mark.parametrize("name", ["speechocean762/asr_prune1", "mini_speech/ssl_prune1"])
def test_without_a_corpus(recipe, tmp_path: Path, name: str) -> None:
    refused = recipe(name, "local/data.sh", f"--{RECIPES[name]}", tmp_path / "nothing")
    assert refused.returncode == 2 and "found no utterance; the folder has to" in refused.stderr
    assert refused.stderr.count("\n") == 1 and not (tmp_path / "egs2" / name / "data").exists()


def test_a_part_is_refused(recipe, tmp_path: Path) -> None:
    corpus = make_slurp(tmp_path / "corpus")
    refused = recipe("slurp/slu_prune1", "local/data.sh", "--slurp_dir", corpus)
    assert refused.returncode == 2 and "--allow_incomplete" in refused.stderr


def test_orders_as_fluent_speech_commands(recipe, tmp_path: Path) -> None:
    result = recipe("mini_speech/slu_prune1", "local/data.sh")
    assert result.returncode == 0, result.stderr
    data, fluent = tmp_path / "egs2/mini_speech/slu_prune1/data", tmp_path / "fluent"
    assert numbers(data) == ORDERS
    main = runpy.run_path(str(EGS2 / "superb/s3prl_prune1/local/mini/fluent_commands.py"))["main"]
    for _ in range(2):
        main([str(data), str(fluent)])
    with open(fluent / "data/train_data.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["action"] for row in rows} == {"orderDrink"}
    assert len({row["object"] for row in rows}) == 10
    for row, wav in zip(rows, read_utterance_dir(data / "train").wavs.values(), strict=True):
        assert (fluent / row["path"]).read_bytes() == Path(wav).read_bytes()


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
    command = ["librispeech/ssl_prune1", "local/data.sh", "--sets", "train_100 dev"]
    command += ["--download", "true", "--allow_incomplete", "true", "--librispeech_dir", target]
    assert recipe(*command, LIMIT="1000", **environment).returncode != 0
    part = target.parent / "train-clean-100.tar.gz.part"
    assert part.stat().st_size == 1000
    result = recipe(*command, **environment)
    assert result.returncode == 0, result.stderr
    assert numbers(tmp_path / "egs2/librispeech/ssl_prune1/data") == {"train_100": 3, "dev": 2}
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


def test_speechocean762_is_downloaded(recipe, tmp_path: Path) -> None:
    tree = make_speechocean762(tmp_path / "tree")
    served = tmp_path / "served"
    environment = serve(served, {"speechocean762": tree})
    command = ["speechocean762/asr_prune1", "local/data.sh", "--download", "true"]
    command += ["--allow_incomplete", "true"]
    refused = recipe(*command, LIMIT="1000", **environment)
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert "https://www.openslr.org/resources/101/speechocean762.tar.gz, found no" in refused.stderr
    result = recipe(*command, **environment)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "egs2/speechocean762/asr_prune1"
    assert numbers(folder / "data") == {"train": 4, "dev": 2, "test": 4}
    assert "--continue" in (served / ".log").read_text()
    refused = recipe("speechocean762/asr_prune1", "local/download.sh", tmp_path / "ocean")
    assert refused.returncode == 2 and "a FOLDER named speechocean762" in refused.stderr


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
    command = [
        "slurp/slu_prune1",
        "local/download.sh",
        "--repository",
        repository,
        "--version",
        "HEAD",
    ]
    assert recipe(*command, target, LIMIT="700", **environment).returncode != 0
    result = recipe(*command, target, **environment)
    assert result.returncode == 0, result.stderr
    assert "zenodo.org/record/4274930/files/slurp_real.tar.gz" in (served / ".log").read_text()
    options = ["--allow_incomplete", "true", "--slurp_dir", target]
    result = recipe("slurp/slu_prune1", "local/data.sh", *options)
    assert result.returncode == 0, result.stderr
    assert numbers(tmp_path / "egs2/slurp/slu_prune1/data") == {"train": 6, "devel": 2, "test": 2}


def test_a_damaged_archive(recipe, tmp_path: Path) -> None:
    (tmp_path / "dev-clean.tar.gz").write_bytes(b"changed")
    target = tmp_path / "downloads" / "LibriSpeech"
    command = ["librispeech_100/asr_prune1", "local/download.sh"]
    result = recipe(*command, target, "dev-clean", SERVED=str(tmp_path))
    assert result.returncode == 2 and "found a damaged one in" in result.stderr
    result = recipe(*command, tmp_path / "downloads" / "libri", "dev-clean")
    assert result.returncode == 2 and "expected a FOLDER named LibriSpeech" in result.stderr
    assert recipe(*command).returncode == 2


def test_help(recipe) -> None:
    for name, option in RECIPES.items():
        text = recipe(name, "local/data.sh", "--help").stdout
        assert f"--{option} (" in text
        assert name.startswith("mini_") or ("--download (false)" in text and "CC BY" in text)
    assert "CC BY-NC 4.0" in recipe("slurp/slu_prune1", "local/download.sh", "--help").stdout
