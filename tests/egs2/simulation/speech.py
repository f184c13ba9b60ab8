"""A corpus of voices that are bursts of noise, silence around and within."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 16000


def utterance(rng: np.random.Generator, *pattern: float) -> np.ndarray:
    """Noise and silence by turns, seconds, `(T,)`; silence comes first."""
    lengths = [round(seconds * RATE) for seconds in pattern]
    scale = np.repeat(np.resize([1e-4, 0.1], len(pattern)), lengths)
    return scale * rng.standard_normal(len(scale))


def write_corpus(folder: Path, speakers: int, utterances: int = 3, seconds: float = 2.5) -> Path:
    """A data directory; every utterance has a pause of 0.8 s and one of 0.2 s."""
    rng = np.random.default_rng(speakers)
    folder.mkdir(parents=True)
    wavs, owners = [], []
    for speaker in range(speakers):
        for number in range(utterances):
            name = f"s{speaker:02d}-{number}"
            wave = utterance(rng, 0.3, seconds, 0.8, seconds / 2, 0.2, seconds / 2, 0.3)
            soundfile.write(folder / f"{name}.flac", 0.5 * wave, RATE)
            wavs.append(f"{name} {folder / name}.flac\n")
            owners.append(f"{name} s{speaker:02d}\n")
    (folder / "wav.scp").write_text("".join(wavs))
    (folder / "utt2spk").write_text("".join(owners))
    return folder
