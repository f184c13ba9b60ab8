"""Small inputs that hosts write and users meet, with the values that are right for them.

`tests/data/cases/README.md` says where they come from and what is right.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_prune.bin import score_der
from espnet_prune.data import format_speech, read_audio_list, read_utterance_dir
from espnet_prune.data.audio import AudioStream, open_audio
from espnet_prune.data.meetings import check_data_dir
from espnet_prune.data.rttm import read_rttm
from espnet_prune.data.tables import DataError, read_table
from espnet_prune.data.uem import read_uem
from espnet_prune.scoring.der import score

CASES = Path(__file__).parents[1] / "data" / "cases"
TEN = CASES / "rttm_10_fields.rttm"


@pytest.mark.parametrize("name", ["rttm_9_fields", "rttm_comments"])
def test_rttm_of_other_writers_is_the_same(name: str) -> None:
    turns = read_rttm(CASES / f"{name}.rttm")
    assert turns == read_rttm(TEN)
    assert score(read_rttm(TEN), turns).total.der == 0


@pytest.mark.parametrize("tail", ["", " <NA>", " <NA> <NA>", " <NA> <NA> <NA> 1"])
def test_what_follows_the_speaker_does_not_matter(tmp_path: Path, tail: str) -> None:
    path = tmp_path / "a.rttm"
    path.write_text(f"SPEAKER a 1 0 1 <NA> <NA> x{tail}\n")
    assert [turn.speaker for turn in read_rttm(path)["a"]] == ["x"]


def test_comments_of_a_uem_are_skipped() -> None:
    (region,) = read_uem(CASES / "uem_comments.uem")["two"]
    assert (region.start, region.end) == (0, 4)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_of_tables_and_lists(tmp_path: Path, encoding: str) -> None:
    mark = "" if encoding in ("utf-8-sig", "utf-16") else "\ufeff"
    path = tmp_path / "a.rttm"
    path.write_bytes(f"{mark}SPEAKER a 1 0 1 <NA> <NA> Müller\r\n".encode(encoding))
    assert read_rttm(path)["a"][0].speaker == "Müller"
    wav = tmp_path / "é.wav"
    wav.touch()
    path.write_bytes(f"{mark}{wav}\n".encode(encoding))
    assert list(read_audio_list(path).wavs.values()) == [str(wav)]


def test_damaged_utf_16_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.rttm"
    path.write_bytes(b"\xff\xfeS\x00P")
    with pytest.raises(DataError, match=r"a\.rttm: expected UTF-16 text"):
        read_rttm(path)


def test_a_table_comes_through_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    if os.fork() == 0:
        pipe.write_bytes(TEN.read_bytes())
        os._exit(0)
    assert read_rttm(pipe) == read_rttm(TEN)
    os.wait()


def test_folders_are_scored_as_files_are(tmp_path: Path, capsys) -> None:
    reference, uem = tmp_path / "reference", tmp_path / "uem"
    reference.mkdir()
    uem.mkdir()
    (reference / "two.rttm").write_bytes(TEN.read_bytes())
    (reference / "one.rttm").write_text("SPEAKER one 1 0 1 <NA> <NA> x <NA> <NA>\n")
    (uem / "two.uem").write_bytes((CASES / "uem_comments.uem").read_bytes())
    score_der.main([str(reference), str(reference), "--uem", str(uem)])
    assert "two" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match=r"expected files \*\.rttm in this folder, found none"):
        score_der.main([str(reference), str(tmp_path / "empty")])


def test_what_the_uem_leaves_out_is_ignored_and_said(caplog: pytest.LogCaptureFixture) -> None:
    turns, uem = read_rttm(TEN), read_uem(CASES / "uem_comments.uem")
    more = {**turns, "other": turns["two"]}
    assert score(turns, more, uem) == score(turns, turns, uem)
    assert caplog.text.count("1 recording(s) are not in the uem: not scored") == 1
    with pytest.raises(DataError, match="found 'other'"):
        score(turns, more)


def wav_of(size: int, samples: np.ndarray, rate: int = 16000) -> bytes:
    """A WAV file whose header says that its data have ``size`` bytes."""
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    data = samples.astype("<i2").tobytes()
    return b"".join([
        b"RIFF", struct.pack("<I", min(size + 36, 2**32 - 1)), b"WAVEfmt ", form,
        b"data", struct.pack("<I", size), data,
    ])  # fmt: skip


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_wavs_of_unknown_length_are_read_to_the_end(tmp_path: Path, size: int) -> None:
    samples = np.random.default_rng(0).integers(-9000, 9000, 32000)
    path = tmp_path / "a.wav"
    path.write_bytes(wav_of(size, samples))
    with AudioStream(path) as stream:
        read = stream.read(0, 10**9)
    np.testing.assert_array_equal(np.rint(read * 32768), samples)
    with open_audio(path) as audio:
        audio.seek(30000)
        assert len(audio.read(10**6)) == 2000


@pytest.mark.parametrize("name", ["streamed_7ffff000", "streamed_ffffffff"])
def test_streamed_cases(name: str) -> None:
    with open_audio(CASES / f"{name}.wav") as audio:
        assert audio.frames == len(audio.read()) == 32000


@pytest.mark.parametrize("rate", [1, 999, 2**31 - 1])
def test_impossible_rates_are_refused_at_once(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_of(64000, np.zeros(32000), rate)[:24] + struct.pack("<II", rate, 9) +
                     wav_of(64000, np.zeros(32000))[32:])  # fmt: skip
    with pytest.raises(DataError, match="expected a sampling rate of 1000 to 768000 Hz"):
        AudioStream(path)


def test_segments_of_kaldi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / "kaldi")
    formatted = format_speech(".", tmp_path / "dump")
    assert formatted.kept == 3
    seconds = (tmp_path / "dump" / "utt2num_samples").read_text().split()[1::2]
    assert [int(n) / 16000 for n in seconds] == [1.2, 0.8, 0.5]
    cut = read_utterance_dir(tmp_path / "dump")
    whole, _ = soundfile.read("rec1.wav", dtype="int16")
    parts = [soundfile.read(cut.wavs[key], dtype="int16")[0] for key in ("utt1", "utt2", "utt3")]
    np.testing.assert_array_equal(np.concatenate(parts[:2]), whole)
    np.testing.assert_array_equal(parts[2], whole[8000:16000])


def test_segments_beyond_their_recording_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASES / "kaldi")
    for name in ("wav.scp", "utt2spk", "text"):
        (tmp_path / name).write_bytes(Path(name).read_bytes())
    (tmp_path / "segments").write_text("utt1 rec1 0 9\nutt2 rec1 3 -1\nutt3 rec1 0 1 A\n")
    with pytest.raises(DataError, match="expected utt1.*found 0 s to 9 s") as caught:
        format_speech(tmp_path, tmp_path / "dump")
    assert len(caught.value.args) == 2 and not (tmp_path / "dump").exists()


def test_segments_of_diarization_data_may_end_with_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASES / "kaldi")
    (tmp_path / "wav.scp").write_bytes(Path("wav.scp").read_bytes())
    (tmp_path / "rttm").write_text("SPEAKER rec1 1 0 1 <NA> <NA> x\n")
    (tmp_path / "segments").write_bytes(Path("segments").read_bytes())
    assert check_data_dir(tmp_path).recordings == 1


def test_names_may_be_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "list"
    wav = os.fsencode(tmp_path) + b"/\xe9.wav"
    Path(os.fsdecode(wav)).touch()
    path.write_bytes(wav + b"\n")
    assert [os.fsencode(found) for found in read_audio_list(path).wavs.values()] == [wav]


def test_texts_must_be_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"a \xe9\n")
    with pytest.raises(DataError, match=r"text:1: expected UTF-8 text"):
        read_table(path, tuple)
