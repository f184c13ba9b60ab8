"""Windows cover their regions exactly, and frame labels agree with a sample-wise definition."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from espnet_prune.data.rttm import Turn, write_rttm
from espnet_prune.data.tables import DataError
from espnet_prune.data.uem import Region
from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.windows import (
    Window,
    WindowAudio,
    WindowLabels,
    cut_windows,
    frame_labels,
    write_windows,
)


def spans(start: float, end: float, size: float, shift: float) -> list[tuple[float, float]]:
    windows = cut_windows({"a": [Region("a", start, end)]}, size, shift)
    return [(window.start, window.end) for window in windows]


@pytest.mark.parametrize(
    ("seconds", "frames"), [(0, 0), (0.0249, 0), (0.025, 1), (1, 49), (5, 249), (8, 399), (16, 799)]
)
def test_num_frames(seconds: float, frames: int) -> None:
    assert FrameGrid().num_frames(int(seconds * 16000)) == frames


@pytest.mark.parametrize("samples", [400, 719, 720, 12345])
def test_num_frames_is_that_of_the_convolutions(samples: int) -> None:
    x = torch.zeros(1, 1, samples)
    for kernel, stride in zip((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), strict=True):
        x = torch.nn.functional.conv1d(x, torch.zeros(1, 1, kernel), stride=stride)
    assert FrameGrid().num_frames(samples) == x.shape[-1]


def test_windows_are_aligned_to_the_end() -> None:
    assert spans(0, 21, 8, 6) == [(0, 8), (6, 14), (12, 20), (13, 21)]


def test_no_window_is_doubled_where_the_shift_ends_at_the_end() -> None:
    assert spans(0, 20, 8, 6) == [(0, 8), (6, 14), (12, 20)]
    assert spans(1, 9, 8, 6) == [(1, 9)]


def test_short_region_is_one_short_window() -> None:
    assert spans(2, 5.5, 8, 6) == [(2, 5.5)]


def test_region_edges_move_inwards_to_the_grid() -> None:
    assert spans(0.0125, 8.0875, 8, 6) == [(0.02, 8.02), (0.08, 8.08)]


def test_region_shorter_than_a_frame_has_no_window() -> None:
    assert spans(1, 1.02, 8, 6) == []


def test_ids_sort_in_time_and_are_unique() -> None:
    regions = {"b": [Region("b", 0, 9)], "a": [Region("a", 1990, 2030), Region("a", 2030, 2041)]}
    windows = cut_windows(regions, 8, 6)
    assert windows[0] == Window("b-0000000-0000800", "b", 0, 8)
    ids = [window.id for window in windows if window.recording == "a"]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize(("size", "shift"), [(0, 6), (8, -1), (8, 0.005), (float("nan"), 6)])
def test_size_and_shift_are_checked(size: float, shift: float) -> None:
    with pytest.raises(ValueError, match=r"expected a window .* multiple of 0\.01 s"):
        cut_windows({}, size, shift)


def test_frame_is_active_if_its_centre_lies_in_a_turn() -> None:
    turns = [Turn("a", 10.0125, 0.02, "x"), Turn("a", 10.033, 0.0395, "x")]
    labels = frame_labels(turns, 10.0, 6, 1)
    # Centres: 12.5, 32.5, 52.5, 72.5 ms after the start; a turn holds its start, not its end.
    assert labels[:, 0].tolist() == [1, 0, 1, 0, 0, 0]
    assert labels.dtype == np.uint8


def test_turn_edges_at_a_centre_are_exact() -> None:
    for frame in range(200):
        turn = Turn("a", round(10.0125 + 0.02 * frame, 4), 0.02, "x")
        assert frame_labels([turn], 10.0, 200, 1)[:, 0].nonzero()[0].tolist() == [frame]


def test_most_talkative_speakers_come_first_and_ties_go_by_name() -> None:
    turns = [
        Turn("a", 0, 0.2, "z"), Turn("a", 0.1, 0.2, "b"), Turn("a", 0, 0.4, "c"),
        Turn("a", 5, 9, "outside"),
    ]  # fmt: skip
    labels = frame_labels(turns, 0, 20, 4)
    assert labels.sum(axis=0).tolist() == [20, 10, 10, 0]
    assert labels[0].tolist() == [1, 0, 1, 0]
    assert np.array_equal(frame_labels(turns, 0, 20, 2), labels[:, :2])


def test_overlapping_turns_of_one_speaker_count_once() -> None:
    turns = [Turn("a", 0, 0.2, "x"), Turn("a", 0.1, 0.3, "x")]
    assert frame_labels(turns, 0, 20, 1)[:, 0].tolist() == [1] * 20


def test_silence() -> None:
    assert not frame_labels([], 0, 5, 4).any()
    assert frame_labels([], 0, 5, 4).shape == (5, 4)


def random_turns(rng: np.random.Generator, number: int) -> list[Turn]:
    return [
        Turn("a", round(start, 3), round(duration, 3), f"s{speaker}")
        for start, duration, speaker in zip(
            rng.uniform(0, 30, number),
            rng.uniform(0.001, 5, number),
            rng.integers(6, size=number),
            strict=True,
        )
    ]


def test_labels_agree_with_brute_force() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        turns = random_turns(rng, 15)
        start = round(rng.uniform(0, 20), 2)
        centres = start + 0.0125 + 0.02 * np.arange(100) + 1e-9
        active = {
            name: np.array([
                any(t.start <= c < t.end for t in turns if t.speaker == name) for c in centres
            ])
            for name in {turn.speaker for turn in turns}
        }  # fmt: skip
        kept = sorted(active, key=lambda name: (-active[name].sum(), name))[:4]
        expected = np.zeros((100, 4))
        for column, name in enumerate(kept):
            expected[:, column] = active[name]
        assert np.array_equal(frame_labels(turns, start, 100, 4), expected)


def test_windows_find_their_turns(tmp_path: Path) -> None:
    turns = random_turns(np.random.default_rng(1), 40)
    write_rttm(tmp_path / "rttm", {"a": turns})
    windows = cut_windows({"a": [Region("a", 0, 37)]}, 2, 0.5)
    write_windows(tmp_path / "windows", windows)
    found = WindowLabels(tmp_path / "windows", 4)
    for window in windows:
        expected = frame_labels(turns, window.start, FrameGrid().num_frames(32000), 4)
        assert np.array_equal(found[window.id], expected)


@pytest.fixture
def windows_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a data directory with a window, whose `wav.scp` has a path relative to its parent."""
    folder = tmp_path / "data"
    folder.mkdir()
    samples = np.arange(48000, dtype=np.float32) / 48000
    soundfile.write(folder / "a.wav", samples, 16000, subtype="FLOAT")
    (folder / "wav.scp").write_text("a data/a.wav\n")
    write_rttm(folder / "rttm", {"a": [Turn("a", 0, 1.5, "x"), Turn("a", 1.2, 0.2, "MÉO069")]})
    windows = cut_windows({"a": [Region("a", 0, 2.5)], "silent": [Region("silent", 0, 1)]}, 2, 1)
    write_windows(folder / "windows", windows)
    monkeypatch.chdir(tmp_path)
    return folder / "windows"


def test_audio_of_a_window(windows_file: Path) -> None:
    audio = WindowAudio(windows_file)
    assert list(audio) == [
        "a-0000000-0000200", "a-0000050-0000250", "silent-0000000-0000100"
    ]  # fmt: skip
    samples = audio["a-0000050-0000250"]
    assert samples.dtype == np.float32
    assert np.array_equal(samples, np.arange(8000, 40000, dtype=np.float32) / 48000)


def test_labels_of_a_window_match_its_audio(windows_file: Path) -> None:
    audio, labels = WindowAudio(windows_file), WindowLabels(windows_file, 4)
    key = "a-0000050-0000250"
    assert labels[key].shape == (FrameGrid().num_frames(len(audio[key])), 4)
    assert labels[key].sum(axis=0).tolist() == [50, 10, 0, 0]
    assert not labels["silent-0000000-0000100"].any()


def test_mappings_are_lazy_and_picklable(windows_file: Path) -> None:
    missing = WindowAudio(windows_file.parent / "elsewhere" / "windows")
    with pytest.raises(FileNotFoundError):
        len(missing)
    for data in (WindowAudio(windows_file), WindowLabels(windows_file, 4)):
        first = next(iter(data))
        copy = pickle.loads(pickle.dumps(data))
        assert len(copy) == 3
        assert np.array_equal(copy[first], data[first])


def test_membership_does_not_read_audio(windows_file: Path) -> None:
    (windows_file.parent / "a.wav").unlink()
    audio = WindowAudio(windows_file)
    assert "a-0000000-0000200" in audio
    assert "b" not in audio


def test_window_beyond_the_audio_is_refused(windows_file: Path) -> None:
    soundfile.write(windows_file.parent / "a.wav", np.zeros(16000), 16000)
    with pytest.raises(DataError, match=r"expected 32000 samples from 0\.5 s .* found 8000"):
        WindowAudio(windows_file)["a-0000050-0000250"]


def test_window_of_an_unknown_recording_is_refused(windows_file: Path) -> None:
    with pytest.raises(DataError, match=r"expected recording silent .*wav\.scp, found none"):
        WindowAudio(windows_file)["silent-0000000-0000100"]
