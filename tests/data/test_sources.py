"""Every kind of source gives the same samples, and whatever is wrong with one is told in a line."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from espnet_prune.data import DataError
from espnet_prune.data.audio import AudioStream, as_source

RATE, CHANNELS = 8000, 2


@pytest.fixture(scope="module")
def stereo() -> np.ndarray:
    """``(T, 2)`` samples of 16 bits."""
    noise = np.random.default_rng(0).standard_normal((RATE * 3 + 7, CHANNELS))
    return (3000 * noise).astype(np.int16)


def read(source) -> np.ndarray:
    with AudioStream(source) as audio:
        return audio.read(0, audio.num_samples)


class Pipe(io.RawIOBase):
    """Bytes that come once."""

    def __init__(self, data: bytes):
        self._inside = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        return self._inside.readinto(buffer)


def test_all_give_the_same(tmp_path: Path, stereo: np.ndarray) -> None:
    path = tmp_path / "a b.wav"
    soundfile.write(path, stereo, RATE)
    data, floats = path.read_bytes(), stereo / 32768
    unrewound = io.BytesIO()
    unrewound.write(data)
    expected = read(path)
    assert len(expected) == round(len(stereo) * 2) and expected.any()
    tensor = torch.from_numpy(floats.T.copy())
    with open(path, "rb") as file:
        sources = [
            str(path), file, data, unrewound, Pipe(data), (floats, RATE), (RATE, stereo),
            (stereo.T, RATE), (stereo.astype(np.int32) * 65536, RATE),
            (floats.astype(np.float32), RATE), (tensor, RATE), (tensor.float(), RATE),
            {"waveform": tensor.requires_grad_(), "sample_rate": RATE}, {"audio": path},
            {"waveform": torch.from_numpy(stereo.T.copy()), "sample_rate": RATE},
        ]  # fmt: skip
        for source in sources:
            np.testing.assert_allclose(read(source), expected, atol=2e-7, err_msg=repr(source))
        assert as_source(file).name == "a_b" and not file.closed
    unsigned = (stereo // 256 + 128).astype(np.uint8)
    np.testing.assert_allclose(read((unsigned, RATE)), expected, atol=1 / 64)


def test_a_channel(tmp_path: Path, stereo: np.ndarray) -> None:
    soundfile.write(tmp_path / "a.wav", stereo, RATE)
    for channel in range(CHANNELS):
        expected = read((stereo[:, channel], RATE))
        for source in ((stereo, RATE), tmp_path / "a.wav"):
            np.testing.assert_array_equal(read({"audio": source, "channel": channel}), expected)
    with pytest.raises(DataError, match=r"a channel from 0 to 1, found 2 of .*a\.wav"):
        read({"audio": tmp_path / "a.wav", "channel": 2})


def test_names(tmp_path: Path) -> None:
    samples = np.zeros(RATE)
    assert as_source((samples, RATE)).name == "audio" == as_source(b"").name
    named = {"waveform": samples, "sample_rate": RATE, "uri": "my meeting"}
    assert as_source(named).name == "my_meeting"
    assert as_source({"audio": tmp_path / "x.wav", "channel": 1}).name == "x_ch1"
    assert as_source({"audio": tmp_path / "x.wav", "channel": 1, "uri": "y"}).name == "y"
    assert as_source(as_source("x.wav")) == as_source("x.wav")


def test_forty_channels_and_a_tenth_of_a_second() -> None:
    many = np.random.default_rng(0).uniform(-1, 1, (40, RATE // 10))
    assert len(read((many, RATE))) == 1600
    np.testing.assert_allclose(read((many, 16000)), many.mean(axis=0), atol=1e-6)


def test_long_arrays_are_read_in_blocks() -> None:
    long = np.broadcast_to(np.int16([[5, 7]]), (10 * 60 * 16000, 2))
    tracemalloc.start()
    with AudioStream((long, 16000)) as audio:
        for start in range(0, audio.num_samples, 16000 * 60):
            found = audio.read(start, start + 16000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == pytest.approx(6 / 32768) and peak < 8e6 < long.nbytes / 4


def nan(place: int) -> np.ndarray:
    samples = np.zeros(30 * RATE)
    samples[place] = np.nan
    return samples


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((np.zeros(0), RATE), "expected samples, found 0 in the array 'audio'"),
        ((np.zeros((0, 2)), RATE), "expected samples, found 0 in the array 'audio'"),
        ((nan(25 * RATE), RATE), "found NaN or infinity at 25.000 s in the array"),
        ((np.zeros((2, 3, 4)), RATE), r"expected samples \(T,\).* of shape \(2, 3, 4\)"),
        ((np.zeros(9, complex), RATE), "real numbers, found complex128"),
        ((torch.zeros(9, dtype=torch.bool), RATE), "real numbers, found bool"),
        ((np.full(9, 3000.0), RATE), "expected samples from -1 to 1, found 3000.*32768"),
        ((np.zeros(9), 0), "a sampling rate of 1000 to 768000 Hz, found 0 Hz"),
        ((np.zeros(9), 10**9), "a sampling rate of 1000 to 768000 Hz, found 1000000000 Hz"),
        ({"waveform": np.zeros(9), "sample_rate": "16k"}, "a rate in Hz, .*found '16k'"),
        ({"waveform": np.zeros(9), "sample_rate": 8000.5}, "a rate in Hz, .*found 8000.5"),
        ({"waveform": np.zeros(9)}, "expected the keys .*found 'waveform'"),
        ({}, "expected the keys .*found none"),
        ((np.zeros(9), np.zeros(9)), r"found \(numpy.ndarray, numpy.ndarray\)"),
        (np.zeros(9), r"expected audio as .*found numpy.ndarray; give .* its sampling rate"),
        (None, "expected audio as a path, .*found NoneType"),
        (b"", "expected readable audio, found .* in the open file"),
        (b"\x01\x02\xff" * 99, "expected readable audio, found 'Format not recognised.'"),
        (b"SPEAKER a 1 0 1\nSPEAKER b", "expected readable audio, found text .'SPEAKER a 1 0 1'"),
        (io.StringIO("x"), "expected a file opened to read bytes, found text"),
        (Path(__file__).parent, "expected an audio file, found a folder"),
        ("none.wav", "expected an audio file, found none at none.wav"),
    ],
)
def test_problems(source, message: str) -> None:
    with pytest.raises(DataError, match=message) as refusal:
        read(source)
    assert len(str(refusal.value).splitlines()) == 1


def test_a_table_given_as_audio(tmp_path: Path) -> None:
    for name in ("a.rttm", "a.wav", "a.raw"):
        (tmp_path / name).write_text("SPEAKER a 1 0.0 1.0 <NA> <NA> x <NA> <NA>\n")
        with pytest.raises(DataError, match=rf"found text .'SPEAKER a.* in .*{name}; copy or"):
            read(tmp_path / name)


def test_a_stream_of_no_length(stereo: np.ndarray) -> None:
    """What a pipe gives: the size of its samples was not known when its header was written."""
    file = io.BytesIO()
    soundfile.write(file, stereo, RATE, format="WAV")
    data = bytearray(file.getvalue())
    place = data.index(b"data") + 4
    expected = read(bytes(data))
    for size in (b"\0" * 4, b"\xff" * 4):
        data[place : place + 4] = size
        np.testing.assert_array_equal(read(Pipe(bytes(data))), expected)
