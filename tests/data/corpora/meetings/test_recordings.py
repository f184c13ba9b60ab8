"""Mono files are exact, and made again when their source has changed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_prune.data.audio import files as audio
from espnet_prune.data.corpora.meetings.recordings import first_channel, make_mono, mean_of_channels
from espnet_prune.data.tables import DataError
from tests.data.corpora.meetings.trees import noise, write_audio


def test_mean_does_not_overflow() -> None:
    loud = np.full((3, 8), 32767, np.int16)
    assert (mean_of_channels(loud) == 32767).all()
    assert (mean_of_channels(-loud) == -32767).all()


def test_first_channel_is_exact_at_full_scale(tmp_path: Path) -> None:
    samples = np.array([[-32768, 5], [32767, 6], [1, 7], [-1, 8]], np.int16)
    write_audio(tmp_path / "a.wav", samples)
    monos = make_mono({"a": tmp_path / "a.wav"}, tmp_path / "out", first_channel, 1)
    mono, _ = soundfile.read(monos["a"], dtype="int16")
    np.testing.assert_array_equal(mono, samples[:, 0])


def test_blocks_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "BLOCK_SECONDS", 700 / 16000)
    samples = noise("a", 3)
    write_audio(tmp_path / "a.flac", samples)
    monos = make_mono({"a": tmp_path / "a.flac"}, tmp_path / "out", mean_of_channels, 1)
    mono, _ = soundfile.read(monos["a"], dtype="int16")
    np.testing.assert_array_equal(mono, mean_of_channels(samples))


def test_a_file_that_cannot_be_decoded_does_not_stop_the_others(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_audio(tmp_path / f"{name}.flac", noise(name, 8))
    whole = (tmp_path / "b.flac").read_bytes()
    (tmp_path / "b.flac").write_bytes(whole[: len(whole) // 2])
    sources = {name: tmp_path / f"{name}.flac" for name in ("a", "b", "c")}
    with pytest.raises(DataError, match=r"b\.flac: expected .*download the file again") as caught:
        make_mono(sources, tmp_path / "out", mean_of_channels, 2)
    assert len(caught.value.args) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.flac", "c.flac"]


def test_a_changed_source_is_converted_again(tmp_path: Path) -> None:
    source = tmp_path / "a.wav"
    for seconds, seed in ((1.0, "old"), (1.0, "newer"), (1.2, "longer")):
        write_audio(source, noise(seed, 2, seconds))
        if seed == "newer":
            later = (tmp_path / "out" / "a.flac").stat().st_mtime + 10
            os.utime(source, (later, later))
        monos = make_mono({"a": source}, tmp_path / "out", first_channel, 1)
        mono, _ = soundfile.read(monos["a"], dtype="int16")
        np.testing.assert_array_equal(mono, noise(seed, 2, seconds)[:, 0])
