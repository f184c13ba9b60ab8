"""What is diarized: a simulated conversation of real voices, or generated tones."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from espnet_prune.data import SAMPLE_RATE

_ROOT = Path(__file__).parents[1]
_CORPUS = _ROOT / "egs2/mini_corpus/LibriSpeech"
_RECIPE = "egs2.mini_meeting.diar_prune1"


def converse(path: Path, seconds: float, seed: int, speakers: int = 3) -> str:
    """Write so many seconds of a conversation as a WAV file of 16 kHz and 16 bits.

    Returns:
        What it is: simulated of the voices of ``egs2/mini_corpus`` where that is, or generated.
    """
    if not _CORPUS.is_dir():
        generate(path, seconds / 60, seed, speakers)
        return f"generated tones, {speakers} voices"
    simulation = importlib.import_module(f"{_RECIPE}.local.simulation")
    utterances: dict[str, list[str]] = {}
    for file in sorted(_CORPUS.glob("*/*/*/*.opus")):
        utterances.setdefault(file.parts[-3], []).append(str(file))
    manner = simulation.read_turn_taking(
        _ROOT / _RECIPE.replace(".", "/") / "conf/turn_taking.yaml"
    )
    settings = simulation.Settings(1, (speakers,), (seconds, seconds), snr_db=(15, 30), seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        simulation.simulate([simulation.Corpus("librispeech", utterances)], data, manner, settings)
        (audio,) = (data / "audio").iterdir()
        samples, _ = soundfile.read(audio, frames=round(seconds * SAMPLE_RATE))
    soundfile.write(path, samples, SAMPLE_RATE, "PCM_16")
    return f"simulated conversation of {speakers} real voices"


def generate(path: Path, minutes: float, seed: int, voices: int = 4) -> None:
    """Write 16 kHz audio in which so many voices, tones with their harmonics, take turns."""
    generator = np.random.default_rng(seed)
    remaining = round(60 * minutes * SAMPLE_RATE)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1) as file:
        while remaining > 0:
            length = min(remaining, int(generator.uniform(2, 6) * SAMPLE_RATE))
            pitch = 90 + 50 * generator.integers(voices)
            phase = 2 * np.pi * pitch * np.arange(length) / SAMPLE_RATE
            voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 20))
            noise = generator.standard_normal(length)
            file.write((0.1 * voice + 0.01 * noise).astype(np.float32))
            remaining -= length
