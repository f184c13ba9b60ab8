"""Containers that libsndfile does not read: the same samples by PyAV, or by ffmpeg, or one line."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from espnet_prune.data import DataError
from espnet_prune.data.audio import AudioStream

SECONDS, RATE = 4.0, 48000
CONTAINERS = {
    "a.m4a": ("ipod", "aac"),
    "a.mp4": ("mp4", "aac"),
    "a.webm": ("webm", "libopus"),
    "a.mkv": ("matroska", "pcm_s16le"),
    "a.aac": ("adts", "aac"),
    "an_m4a.wav": ("ipod", "aac"),  # as some recorders name it
}


def tone(rate: int = RATE) -> np.ndarray:
    """``(T, 2)``: a tone on the left, half as loud on the right."""
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(SECONDS * rate)) / rate)
    return np.stack([wave, wave / 2], axis=1)


def encode(container: str, codec: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=RATE, layout="stereo")
        samples = np.rint(tone() * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    return file.getvalue()


@pytest.fixture(scope="module")
def encoded() -> dict[str, bytes]:
    return {name: encode(*kind) for name, kind in CONTAINERS.items()}


def read(source) -> np.ndarray:
    with AudioStream(source) as audio:
        return audio.read(0, audio.num_samples)


@pytest.mark.parametrize("name", CONTAINERS)
def test_what_was_encoded_is_heard(tmp_path: Path, encoded, name: str) -> None:
    (tmp_path / name).write_bytes(encoded[name])
    found = read(tmp_path / name)
    assert abs(len(found) - SECONDS * 16000) < 0.1 * 16000
    # A codec may delay its signal: the strongest frequency tells, and how loud it is.
    middle = found[16000:48000]
    spectrum = np.abs(np.fft.rfft(middle)) / len(middle) * 2
    assert spectrum.argmax() == 880 and spectrum.max() == pytest.approx(0.225, abs=0.01)
    left = read({"audio": tmp_path / name, "channel": 0})
    assert abs(left[16000:48000]).max() == pytest.approx(0.3, abs=0.02)
    if name != "a.aac":  # which only its suffix tells
        np.testing.assert_array_equal(read(io.BytesIO(encoded[name])), found)


def test_damage_is_told(tmp_path: Path, encoded) -> None:
    whole = encoded["a.mp4"]
    silent = io.BytesIO()
    with av.open(silent, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    cases = {
        "cut.mp4": (whole[: len(whole) // 2], "expected readable audio, found 'Invalid data"),
        "cut.webm": (encoded["a.webm"][: len(encoded["a.webm"]) // 3], "the file is truncated"),
        "empty.m4a": (b"", "expected readable audio, found"),
        "text.m4a": (b"no audio at all", "expected readable audio, found"),
        "film.mp4": (silent.getvalue(), "expected audio, found none in"),
    }
    for name, (data, message) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=message) as refusal:
            read(tmp_path / name)
        assert len(str(refusal.value).splitlines()) == 1 and name in str(refusal.value)


@pytest.fixture
def no_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)


def put_ffmpeg(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program that stands for ffmpeg."""
    program = folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_ffmpeg_where_there_is_no_pyav(tmp_path: Path, no_pyav, encoded, monkeypatch) -> None:
    soundfile.write(tmp_path / "converted.wav", tone(16000), 16000)
    (tmp_path / "a.m4a").write_bytes(encoded["a.m4a"])
    script = f'echo "$@" > {tmp_path}/told; cat {tmp_path}/converted.wav'
    put_ffmpeg(tmp_path, monkeypatch, script)
    np.testing.assert_array_equal(read(tmp_path / "a.m4a"), read(tmp_path / "converted.wav"))
    told = (tmp_path / "told").read_text()
    assert "-map 0:a:0 -ar 16000" in told and told.endswith("-f wav pipe:1\n")
    put_ffmpeg(tmp_path, monkeypatch, "echo moov atom not found >&2; exit 1")
    with pytest.raises(DataError, match=r"found 'moov atom not found' in .*a\.m4a; copy or"):
        read(tmp_path / "a.m4a")


def test_neither_is_told(tmp_path: Path, no_pyav, encoded, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    (tmp_path / "a.m4a").write_bytes(encoded["a.m4a"])
    message = r"expected PyAV or ffmpeg, .*a\.m4a, found neither; pip install 'espnet_prune.media"
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.m4a")
