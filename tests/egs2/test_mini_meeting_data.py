"""The demo's data: conversations of the voices that the repository carries."""

from __future__ import annotations

import importlib
import os
import subprocess
from pathlib import Path

import pytest

from espnet_prune.data import check_data_dir, read_data_dir

RECIPE = Path(__file__).parents[2] / "egs2/mini_meeting/diar_prune1"
SETS = ("train", "dev", "test")


def commands(folder: Path, *options: str) -> list[list[str]]:
    """What local/data.sh calls Python with."""
    stub, log = folder / "python", folder / "log"
    stub.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" '' >> {log}\n")
    stub.chmod(0o755)
    for name in ("path.sh", "utils", "local"):
        (folder / name).symlink_to((RECIPE / name).resolve())
    subprocess.run(
        ["local/data.sh", *options], cwd=folder, env={**os.environ, "python": str(stub)}, check=True
    )
    return [call.split("\0") for call in log.read_text().removesuffix("\0\0").split("\0\0")]


def test_a_small_corpus(tmp_path, monkeypatch):
    sizes = {"train": 4, "dev": 1, "test": 2}
    options = [word for name, size in sizes.items() for word in (f"--num_{name}", str(size))]
    calls = commands(tmp_path, *options, "--duration", "14", "--num_speakers", "2", "--nj", "1")
    monkeypatch.chdir(tmp_path)
    for _, module, *words in calls:
        importlib.import_module(module).main(words)
    speakers = {}
    for name, size in sizes.items():
        statistics = check_data_dir(f"data/{name}")
        assert statistics.recordings == size
        assert 14 * size <= 3600 * statistics.hours <= 25 * size
        data = read_data_dir(f"data/{name}")
        assert all(len({turn.speaker for turn in own}) == 2 for own in data.turns.values())
        # Relative, so that a copy of the recipe's folder is one.
        assert all(wav.startswith(f"data/{name}/audio/") for wav in data.wavs.values())
        speakers[name] = {turn.speaker for own in data.turns.values() for turn in own}
        assert Path(f"data/local/turn_taking_{name}.png").is_file()
    assert sum(map(len, speakers.values())) == len(set.union(*speakers.values()))


def test_the_default_corpus_has_voices_enough(tmp_path, monkeypatch):
    calls = commands(tmp_path)
    monkeypatch.chdir(tmp_path)
    simulations = {}
    for _, module, *words in calls:
        if module.endswith("prepare_data"):
            importlib.import_module(module).main(words)
        else:
            simulations[Path(words[words.index("--output") + 1]).name] = words
    assert list(simulations) == list(SETS)
    speakers = {
        name: {
            line.split()[1]
            for word in words
            if "=" in word
            for line in Path(word.split("=")[1], "utt2spk").read_text().splitlines()
        }
        for name, words in simulations.items()
    }
    assert len(speakers["train"]) >= 100 and len(speakers["test"]) >= 40
    number = {name: int(w[w.index("--recordings") + 1]) for name, w in simulations.items()}
    assert number["test"] >= 60 and number["train"] * 37.5 == pytest.approx(3 * 3600, rel=0.05)
