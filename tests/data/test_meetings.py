"""A sound data directory is described; each defect is reported with its file and line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_prune.data import meetings as module
from espnet_prune.data.audio import files as audio
from espnet_prune.data.meetings import check_data_dir, read_data_dir, scored_regions, write_data_dir
from espnet_prune.data.rttm import Turn, read_rttm
from espnet_prune.data.tables import DataError
from espnet_prune.data.uem import Region, read_uem


def turn_line(recording: str, start: float, duration: float, speaker: str) -> str:
    return f"SPEAKER {recording} 1 {start} {duration} <NA> <NA> {speaker} <NA> <NA>\n"


def append(path: Path, text: str) -> None:
    path.write_text((path.read_text() if path.exists() else "") + text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a data directory of two recordings of 2 s, with `a.wav` and `b.flac`."""
    folder = tmp_path / "data"
    folder.mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 32000)
    for name in ("a.wav", "b.flac"):
        soundfile.write(folder / name, noise, 16000, subtype="PCM_16")
    (folder / "wav.scp").write_text(f"b {folder / 'b.flac'}\na {folder / 'a.wav'}\n")
    (folder / "rttm").write_text(
        turn_line("b", 0, 1, "x") + turn_line("a", 0.5, 1, "x") + turn_line("a", 1, 1, "MÉO069")
    )
    return folder


def test_statistics(folder: Path) -> None:
    statistics = check_data_dir(folder)
    assert statistics.recordings == 2
    assert statistics.hours == pytest.approx(4 / 3600)
    assert statistics.speakers == 2
    assert statistics.speech_ratio == pytest.approx(2.5 / 4)
    assert statistics.overlap_ratio == pytest.approx(0.5 / 2.5)


def test_overlapping_turns_of_one_speaker_are_not_overlapping_speech(folder: Path) -> None:
    (folder / "rttm").write_text(turn_line("a", 0, 1, "x") + turn_line("a", 0.5, 1, "x"))
    statistics = check_data_dir(folder)
    assert statistics.speech_ratio == pytest.approx(1.5 / 4)
    assert statistics.overlap_ratio == 0


def test_read(folder: Path) -> None:
    append(folder / "uem", "a 1 0 1\na 1 1.5 2\n")
    data = read_data_dir(folder)
    assert data.wavs == {"b": str(folder / "b.flac"), "a": str(folder / "a.wav")}
    assert data.turns["b"] == [Turn("b", 0, 1, "x")]
    assert data.uem == {"a": [Region("a", 0, 1), Region("a", 1.5, 2)]}


def test_recordings_without_turns_or_regions_are_allowed_with_a_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "rttm").write_text(turn_line("a", 0, 1, "x"))
    append(folder / "uem", "a 1 0 1\n")
    with caplog.at_level(logging.WARNING):
        check_data_dir(folder)
    assert read_data_dir(folder).turns["b"] == []
    assert "no line for 1 recording(s), taken as silence: b" in caplog.text
    assert "neither trained on nor scored: b" in caplog.text


def test_path_may_hold_a_space(folder: Path) -> None:
    (folder / "a.wav").rename(folder / "a 1.wav")
    (folder / "wav.scp").write_text(f"b {folder / 'b.flac'}\na {folder / 'a 1.wav'}\n")
    assert check_data_dir(folder).recordings == 2


def missing_table(folder: Path) -> None:
    (folder / "rttm").unlink()


def no_recordings(folder: Path) -> None:
    (folder / "wav.scp").write_text("")


def missing_audio(folder: Path) -> None:
    (folder / "a.wav").unlink()


def empty_audio(folder: Path) -> None:
    soundfile.write(folder / "a.wav", np.zeros(0), 16000)


def not_audio(folder: Path) -> None:
    (folder / "a.wav").write_text("not audio")


def truncated_wav(folder: Path) -> None:
    (folder / "a.wav").write_bytes((folder / "a.wav").read_bytes()[:30000])


def truncated_flac(folder: Path) -> None:
    (folder / "b.flac").write_bytes((folder / "b.flac").read_bytes()[:20000])


def telephone(folder: Path) -> None:
    soundfile.write(folder / "a.wav", np.zeros(16000), 8000)


def stereo(folder: Path) -> None:
    soundfile.write(folder / "a.wav", np.zeros((32000, 2)), 16000)


def not_a_number(folder: Path) -> None:
    samples = np.zeros(32000)
    samples[16000] = np.nan
    soundfile.write(folder / "a.wav", samples, 16000, subtype="FLOAT")


def infinity(folder: Path) -> None:
    soundfile.write(folder / "a.wav", np.full(32000, np.inf), 16000, subtype="FLOAT")


def pipe(folder: Path) -> None:
    append(folder / "wav.scp", "c sox c.mp3 -t wav - |\n")


def no_path(folder: Path) -> None:
    append(folder / "wav.scp", "c\n")


def duplicate_recording(folder: Path) -> None:
    append(folder / "wav.scp", f"a {folder / 'b.flac'}\n")


def duplicate_segment(folder: Path) -> None:
    append(folder / "segments", "x-1 a 0 1\nx-1 a 1 2\n")


def zero_length_turn(folder: Path) -> None:
    append(folder / "rttm", turn_line("a", 1, 0, "x"))


def negative_turn(folder: Path) -> None:
    append(folder / "rttm", turn_line("a", 1, -1, "x"))


def zero_length_segment(folder: Path) -> None:
    append(folder / "segments", "x-1 a 1 1\n")


def negative_segment(folder: Path) -> None:
    append(folder / "segments", "x-1 a 1 0.5\n")


def turn_of_unknown_recording(folder: Path) -> None:
    append(folder / "rttm", turn_line("c", 0, 1, "x"))


def region_of_unknown_recording(folder: Path) -> None:
    append(folder / "uem", "a 1 0 2\nc 1 0 2\n")


def segment_of_unknown_recording(folder: Path) -> None:
    append(folder / "segments", "x-1 c 0 1\n")


def turn_beyond_audio(folder: Path) -> None:
    append(folder / "rttm", turn_line("a", 1, 1.2, "x"))


def region_beyond_audio(folder: Path) -> None:
    append(folder / "uem", "a 1 0 2.2\n")


def overlapping_regions(folder: Path) -> None:
    append(folder / "uem", "a 1 1 2\na 1 0 1.5\n")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (missing_table, "rttm: expected this file in a data directory, found none; create"),
        (no_recordings, "wav.scp: expected at least one recording, found none"),
        (missing_audio, r"wav.scp:2: expected an audio file, found none at \S+a.wav; correct"),
        (empty_audio, r"wav.scp:2: expected samples, found 0 in \S+a.wav; remove"),
        (not_audio, r"wav.scp:2: expected readable audio, found .* in \S+a.wav; copy"),
        (truncated_wav, "wav.scp:2: expected 64000 bytes .*, found 29956 in .*truncated, copy"),
        (truncated_flac, "wav.scp:1: expected 32000 samples .* found fewer in .* copy"),
        (telephone, "wav.scp:2: expected 16000 Hz with 1 channel, found 8000 Hz .*; convert"),
        (stereo, r"wav.scp:2: expected .* found 16000 Hz with 2 channel\(s\) in .*; convert"),
        (not_a_number, r"wav.scp:2: expected finite samples, found NaN or infinity at 1.000 s"),
        (infinity, r"wav.scp:2: expected finite samples, found NaN or infinity at 0.000 s"),
        (pipe, "wav.scp:3: expected the path of a plain file, found the command .*; write"),
        (no_path, "wav.scp:3: expected 2 fields, found 1"),
        (duplicate_recording, "wav.scp:3: expected unique ids, found 'a' already in line 2"),
        (duplicate_segment, "segments:2: expected unique ids, found 'x-1' already in line 1"),
        (zero_length_turn, "rttm:4: expected a duration above 0 s, found 0 s"),
        (negative_turn, "rttm:4: expected a duration above 0 s, found -1 s"),
        (zero_length_segment, "segments:1: expected an end after the start, found 1 s to 1 s"),
        (negative_segment, "segments:1: expected an end after the start, found 1 s to 0.5 s"),
        (turn_of_unknown_recording, "rttm:4: expected a recording of wav.scp, found 'c'; add"),
        (region_of_unknown_recording, "uem:2: expected a recording of wav.scp, found 'c'"),
        (segment_of_unknown_recording, "segments:1: expected a recording of wav.scp, found 'c'"),
        (turn_beyond_audio, "rttm:4: expected an end within the 2.000 s of a, found 2.200 s"),
        (region_beyond_audio, "uem:1: expected an end within the 2.000 s of a, found 2.200 s"),
        (overlapping_regions, "uem:1: expected regions that do not overlap, .* line 2; merge"),
    ],
)
def test_defect_is_reported(folder: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(folder)
    with pytest.raises(DataError) as caught:
        check_data_dir(folder)
    assert caught.match(message)
    assert str(folder) in str(caught.value)


def test_all_problems_are_reported_at_once(folder: Path) -> None:
    for spoil in (zero_length_turn, turn_beyond_audio, negative_segment, telephone, truncated_flac):
        spoil(folder)
    with pytest.raises(DataError) as caught:
        check_data_dir(folder)
    places = [problem.split(": ")[0].rsplit("/", 1)[-1] for problem in caught.value.args]
    assert sorted(places) == ["rttm:4", "segments:1", "wav.scp:1", "wav.scp:2"]


def test_small_overhang_is_tolerated_and_clipped(folder: Path) -> None:
    append(folder / "rttm", turn_line("a", 1, 1.05, "x"))
    append(folder / "uem", "a 1 0.5 2.05\n")
    check_data_dir(folder)
    assert scored_regions(read_data_dir(folder)) == {"a": [Region("a", 0.5, 2.0)]}


def test_samples_are_checked_beyond_the_first_block(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "BLOCK_SECONDS", 1000 / 16000)
    check_data_dir(folder)
    not_a_number(folder)
    with pytest.raises(DataError, match=r"infinity at 1\.000 s"):
        check_data_dir(folder)


def test_formatted_copy_is_sorted_and_has_regions(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "dump" / "set"
    write_data_dir(read_data_dir(folder), output)
    assert [line.split()[0] for line in (output / "wav.scp").read_text().splitlines()] == ["a", "b"]
    assert list(read_rttm(output / "rttm")) == ["a", "b"]
    assert read_uem(output / "uem") == {"a": [Region("a", 0, 2)], "b": [Region("b", 0, 2)]}
    assert sorted(path.name for path in output.iterdir()) == ["rttm", "uem", "wav.scp"]
    assert check_data_dir(output) == check_data_dir(folder)


def test_failed_copy_leaves_earlier_files(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "dump"
    write_data_dir(read_data_dir(folder), output)
    earlier = {path.name: path.read_text() for path in output.iterdir()}
    append(folder / "rttm", turn_line("a", 0, 0.1, "new"))

    def disk_full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "replace_files", disk_full)
    with pytest.raises(OSError, match="No space left"):
        write_data_dir(read_data_dir(folder), output)
    assert {path.name: path.read_text() for path in output.iterdir()} == earlier
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "dump"]
