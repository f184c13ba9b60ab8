"""Audio of any kind as a stream of 16 kHz mono."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from espnet_prune.data import DataError
from espnet_prune.data.audio import AudioStream, open_any_audio


def write(path: Path, rate: int, channels: int, seconds: float = 23.457, **options: str) -> Path:
    noise = 0.1 * np.random.default_rng(0).standard_normal((round(seconds * rate), channels))
    soundfile.write(path, noise.cumsum(axis=0) * 0.01, rate, **options)
    return path


def expected(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate, 16000)


@pytest.mark.parametrize(
    "name, rate, channels",
    [
        ("a.wav", 16000, 1),
        ("a.w64", 16000, 3),
        ("a.flac", 48000, 2),
        ("a.ogg", 44100, 1),
        ("a.mp3", 44100, 2),
        ("a.aiff", 11025, 1),
    ],
)
@pytest.mark.parametrize("size, step", [(400000, 400000), (32000, 8000), (16000, 50000)])
def test_stretches_are_those_of_the_whole(
    tmp_path: Path, name: str, rate: int, channels: int, size: int, step: int
) -> None:
    path = write(tmp_path / name, rate, channels)
    whole = expected(path)
    with AudioStream(path) as audio:
        assert abs(audio.num_samples - len(whole)) <= 1
        for start in range(0, audio.num_samples, step):
            found = audio.read(start, start + size)
            assert found.dtype == np.float32
            assert len(found) == min(size, audio.num_samples - start)
            common = min(len(found), len(whole) - start)
            np.testing.assert_allclose(found[:common], whole[start:][:common], atol=1e-5)


def test_reading_goes_one_way(tmp_path: Path) -> None:
    with AudioStream(write(tmp_path / "a.wav", 16000, 1)) as audio:
        audio.read(1000, 2000)
        assert len(audio.read(1000, 3000)) == 2000 and len(audio.read(1500, 1600)) == 100
        with pytest.raises(ValueError, match="expected a start of 1500 or later, found 1499"):
            audio.read(1499, 2000)


def test_a_pipe_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", tmp_path, "/dev/null"):
        with pytest.raises(DataError, match="found a folder, pipe or device at"):
            open_any_audio(path)
