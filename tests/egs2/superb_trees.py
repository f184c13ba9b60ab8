"""Corpora of noise in the layouts of two of SUPERB's."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import soundfile

from tests.egs2.superb_files import write

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "egs2/superb/s3prl_prune1"
CORPORA = (
    *("librispeech", "lengths", "speech_commands", "speech_commands_test", "quesst14"),
    *("voxceleb1", "iemocap", "fluent", "snips", "libri2mix"),
)
INTENTS = (("activate", "lamp", "none"), ("deactivate", "lamp", "hall"))
RATE = 16000
RNG = np.random.default_rng(0)


def audio(path: Path, seconds: float = 0.5) -> Path:
    """Noise in a new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.1 * RNG.standard_normal(round(seconds * RATE))
    soundfile.write(path, wave.astype(np.float32), RATE)
    return path


def fluent_tree(folder: Path, number: int = 4) -> Path:
    """Noise in Fluent Speech Commands' own layout."""
    for name in ("train", "valid", "test"):
        rows = []
        for index in range(number):
            path = f"wavs/speakers/{name}{index}/{index}.wav"
            audio(folder / path)
            rows.append([index, path, f"{name}{index}", "words", *INTENTS[index % 2]])
        (folder / "data").mkdir(exist_ok=True)
        with open(folder / f"data/{name}_data.csv", "w", newline="") as file:
            header = ["", "path", "speakerId", "transcription", "action", "object", "location"]
            csv.writer(file).writerows([header, *rows])
    return folder


def pairs_tree(folder: Path) -> Path:
    """Noise of two speakers in turn, in the layout of s3prl's diarization."""
    for name, number in (("train", 4), ("dev", 2), ("test", 2)):
        keys = [f"{name}{index}" for index in range(number)]
        wavs = {key: audio(folder / f"audio/{key}.wav", 4.0) for key in keys}
        turns = [(f"{who}-{key}", key, who, at) for key in keys for who, at in (("x", 0), ("y", 2))]
        write(folder / name / "wav.scp", [f"{key} {path}" for key, path in wavs.items()])
        write(folder / name / "reco2dur", [f"{key} 4.0" for key in keys])
        write(folder / name / "segments", [f"{u} {key} {at} {at + 2}" for u, key, _, at in turns])
        write(folder / name / "utt2spk", [f"{u} {key}{who}" for u, key, who, _ in turns])
        rttm = [f"SPEAKER {k} 1 {at} 2.0 <NA> <NA> {who} <NA> <NA>" for _, k, who, at in turns]
        write(folder / name / "rttm", rttm)
    return folder
