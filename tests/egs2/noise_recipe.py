"""A recipe folder of its own with a corpus of noise and a small random encoder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from tests.espnet.conftest import encoder

EGS2 = Path(__file__).parents[2] / "egs2"


def make_recipe(folder: Path, recipe: str, script: str) -> Path:
    """A copy of a recipe by links, with ``data/{train,dev}`` and an encoder in ``dense``."""
    folder.mkdir()
    for link in (script, "path.sh", "cmd.sh", "utils", "conf"):
        (folder / link).symlink_to((EGS2 / recipe / link).resolve())
    (folder / "local").mkdir()
    (folder / "local/data.sh").write_text("#!/bin/sh\necho data >> log\n")
    (folder / "local/data.sh").chmod(0o755)
    _write_corpus(folder / "data")
    encoder(folder / "dense", seed=0)
    return folder


def run_recipe(folder: Path, script: str, *options: str) -> str:
    """What the recipe prints, which must not fail."""
    command = [f"./{script}", *options, "--python", sys.executable]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _write_corpus(data: Path) -> None:
    """Twenty noises of four "speakers" in each of two sets."""
    generator = np.random.default_rng(0)
    for name in ("train", "dev"):
        (data / name).mkdir(parents=True)
        rows: dict[str, list[str]] = {"wav.scp": [], "text": [], "utt2spk": [], "spk2utt": []}
        for speaker in "abcd":
            names = [f"{speaker}_{index}" for index in range(5)]
            for key in names:
                samples = 0.1 * generator.standard_normal(16000 + 100 * ord(speaker))
                soundfile.write(data / name / f"{key}.wav", samples, 16000)
                rows["wav.scp"].append(f"{key} {data / name}/{key}.wav\n")
                rows["text"].append(f"{key} word\n")
                rows["utt2spk"].append(f"{key} {speaker}\n")
            rows["spk2utt"].append(f"{speaker} {' '.join(names)}\n")
        for table, lines in rows.items():
            (data / name / table).write_text("".join(lines))
