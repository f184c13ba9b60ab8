"""What speakers sound like, and the names of those that are known."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from espnet_prune import Diarizer
from espnet_prune.data import DataError
from espnet_prune.diarization.pipeline import InferenceConfig
from espnet_prune.diarization.voices import load_voices, names_of, numbered, save_voices
from tests.diarization.scripted import scripted_model, write_script

# Whom the clustering finds first is not who speaks first: voice 2 has the floor.
MEETING = [(0.5, 1.4, 2), (1.5, 4.0, 0), (4.2, 6.0, 1), (6.2, 8.0, 0)]


@pytest.fixture(scope="module")
def diarizer() -> Diarizer:
    return Diarizer(scripted_model(), InferenceConfig(step=0.5))


@pytest.fixture
def meeting(tmp_path: Path) -> Path:
    return write_script(tmp_path / "m.wav", MEETING, 8.5)


def spoken(found) -> list[str]:
    return [turn.speaker for turn in found.turns]


def test_speakers_are_numbered_as_they_speak_first(diarizer, meeting) -> None:
    found = diarizer.run(meeting)
    assert spoken(found) == ["spk0", "spk1", "spk2", "spk1"] and found.recording == "m"
    assert [*found.voices] == ["spk0", "spk1", "spk2"]
    vectors = np.stack([*found.voices.values()])
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(3), atol=1e-6)  # of the script
    assert diarizer.diarize(meeting, "m") == found.turns
    assert diarizer(meeting) == found.annotation and found.annotation.uri == "m"


def test_known_voices_are_named_once(diarizer, meeting, tmp_path) -> None:
    alice = diarizer.voice(write_script(tmp_path / "alice.wav", [(0.2, 3.0, 0)], 3.5))
    nobody = diarizer.voice(write_script(tmp_path / "x.wav", [(0.2, 3.0, 5)], 3.5))
    named = diarizer.with_voices({"spk0": nobody, "Alice": alice, "Alice2": alice * 2})
    names = spoken(named.run(meeting))
    # The number of a stranger is no known name, and of two equal voices one is given.
    assert names in (["spk1", name, "spk2", name] for name in ("Alice", "Alice2"))
    assert spoken(diarizer.run(meeting))[1] == "spk1"
    assert named.with_speakers(1).run(meeting).turns[0].speaker in ("Alice", "Alice2")
    silent = write_script(tmp_path / "silent.wav", [], 3.0)
    assert spoken(named.run(silent)) == []
    with pytest.raises(DataError, match=r"somebody who speaks, found nobody in .*silent\.wav"):
        diarizer.voice(silent)


def test_the_most_similar_get_the_names_together() -> None:
    voices = np.eye(3, dtype=np.float32)
    known = {"a": np.float32([1, 0.9, 0]), "b": np.float32([1, 0.2, 0.1])}
    assert names_of(voices, known, 0.5, numbered(known)) == ["b", "a", "spk0"]
    assert names_of(voices, known, 0.7, numbered(known)) == ["b", "spk0", "spk1"]
    assert names_of(voices, known, 1.0, numbered(known)) == ["spk0", "spk1", "spk2"]
    with pytest.raises(DataError, match="expected voices of 3 numbers, .*found 2 of 'short'"):
        names_of(voices, {"short": np.ones(2, np.float32)}, 0.5, numbered({}))


def test_files_of_voices(tmp_path: Path) -> None:
    voices = {"file": np.float32([1, 2]), "MÉO": np.float32([3, 4]), "a/spk0": np.float32([0, 1])}
    save_voices(tmp_path / "v.npz", voices)
    found = load_voices(tmp_path / "v.npz")
    assert [*found] == [*voices]
    assert all(np.array_equal(found[name], voices[name]) for name in voices)
    np.savez(tmp_path / "ours.npz", Alice=np.ones(3))  # as users write one
    assert load_voices(tmp_path / "ours.npz")["Alice"].dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.array([1.0, np.nan])}, "expected a voice .*float64 of shape .2,. of 'a'"),
        ({"a": np.ones((2, 2))}, "found float64 of shape .2, 2."),
        ({"a": np.zeros(2)}, "found float64 of shape"),
        ({"a": np.array(["x"])}, "found <U1 of shape"),
        ({"a": np.array([{}])}, "an NPZ file of voices, found something else .*pickle"),
        ({"a b": np.ones(2)}, "found a name with blanks of 'a b'"),
        (b"PK no archive", "an NPZ file of voices, found something else"),
        (b"", "an NPZ file of voices, found something else"),
        (None, "an NPZ file of voices, found something else .*No such file"),
    ],
    ids=repr,
)
def test_files_of_something_else(tmp_path: Path, arrays, message: str) -> None:
    path = tmp_path / "v.npz"
    if isinstance(arrays, bytes):
        path.write_bytes(arrays)
    elif arrays:
        np.savez(path, **arrays)
    with pytest.raises(DataError, match=f"{re.escape(str(path))}: .*{message}") as refusal:
        load_voices(path)
    assert len(str(refusal.value).splitlines()) == 1


def test_short_turns_and_gaps(meeting) -> None:
    tidy = Diarizer(scripted_model(), InferenceConfig(step=0.5, min_duration=1.0, min_gap=2.3))
    turns = tidy.diarize(meeting, "m")
    # The gap of 2.2 s is filled; the turn of 0.9 s goes, and with it its speaker's number.
    assert [(turn.speaker, round(turn.duration, 1)) for turn in turns] == [
        ("spk0", 6.5), ("spk1", 1.8)
    ]  # fmt: skip
    exclusive = tidy.with_joining(InferenceConfig(step=0.5, min_gap=2.3, exclusive=True))
    assert spoken(exclusive.run(meeting)) == ["spk0", "spk1", "spk2", "spk1"]


def test_progress_is_told(diarizer, meeting) -> None:
    told: list[tuple[int, int]] = []
    diarizer(meeting, progress=lambda done, total: told.append((done, total)))
    windows = len(diarizer.local.starts(round(8.5 * 16000)))
    assert told == [(done, windows) for done in range(windows + 1)]


def test_whatever_is_heard_is_diarized(diarizer, meeting) -> None:
    samples, rate = soundfile.read(meeting)
    expected = diarizer.diarize(meeting, "r")
    waveform = torch.from_numpy(samples).float()[None]
    for source in ((samples, rate), {"waveform": waveform, "sample_rate": rate}):
        assert diarizer.diarize(source, "r") == expected
    assert diarizer({"waveform": waveform, "sample_rate": rate, "uri": "x"}).uri == "x"
