"""Formatting keeps what fits, checks every header, and copies nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from espnet_prune.bin import check_data as command
from espnet_prune.data import LengthLimits, format_speech, read_audio_list, read_utterance_dir
from espnet_prune.data.tables import DataError
from tests.data.corpora.utterances.trees import write_audio, write_table

SECONDS = {"a-1": 0.25, "a-2": 0.5, "b-1": 0.75, "b-2": 1.0}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Make a data directory of utterances of a quarter to one second, WAV and FLAC."""
    wavs = {}
    for name, seconds in SECONDS.items():
        wavs[name] = tmp_path / "audio" / name[0] / f"{name}.{'wav' if name[0] == 'a' else 'flac'}"
        write_audio(wavs[name], seconds)
    write_table(tmp_path / "data" / "wav.scp", {name: str(path) for name, path in wavs.items()})
    write_table(tmp_path / "data" / "utt2spk", {name: name[0] for name in SECONDS})
    write_table(tmp_path / "data" / "text", {name: f"words of {name}" for name in SECONDS})
    return tmp_path / "data"


@pytest.mark.parametrize("nj", [1, 3])
def test_lengths(data: Path, tmp_path: Path, nj: int) -> None:
    found = format_speech(data, tmp_path / "dump", LengthLimits(0.5, 0.75), nj)
    assert found == (2, pytest.approx(1.25 / 3600), 1, 1)
    kept = read_utterance_dir(tmp_path / "dump")
    assert list(kept.wavs) == ["a-2", "b-1"]
    assert kept.speakers == {"a-2": "a", "b-1": "b"}
    assert kept.texts == {"a-2": "words of a-2", "b-1": "words of b-1"}
    assert (tmp_path / "dump" / "utt2num_samples").read_text() == "a-2 8000\nb-1 12000\n"
    # They lie where they did.
    assert kept.wavs["b-1"] == str(tmp_path / "audio" / "b" / "b-1.flac")
    assert not list((tmp_path / "dump").glob("*.flac"))


def test_everything_is_kept_by_default(data: Path, tmp_path: Path) -> None:
    assert format_speech(data, tmp_path / "dump").kept == 4
    assert (tmp_path / "dump" / "text").read_bytes() == (data / "text").read_bytes()


def test_limits(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 to 3 s, found 4 shorter and 0 longer"):
        format_speech(data, tmp_path / "dump", LengthLimits(2, 3))
    assert not (tmp_path / "dump").exists()
    for limits in ((3, 2), (-1, 2), (float("nan"), 2)):
        with pytest.raises(ValueError, match="expected 0 <= min_seconds < max_seconds"):
            LengthLimits(*limits)


@pytest.mark.parametrize(
    "rate, channels, found",
    [(8000, 1, "found 8000 Hz with 1"), (16000, 2, r"found 16000 Hz with 2 channel\(s\)")],
)
def test_other_audio(data: Path, tmp_path: Path, rate: int, channels: int, found: str) -> None:
    write_audio(tmp_path / "audio" / "a" / "a-2.wav", 0.5, rate, channels)
    (tmp_path / "audio" / "b" / "b-2.flac").write_bytes(b"fLaC")
    with pytest.raises(DataError, match=rf"a-2: .*{found}.*convert it, for example `sox") as caught:
        format_speech(data, tmp_path / "dump")
    assert len(caught.value.args) == 2 and "b-2: expected readable audio" in caught.value.args[1]


def test_a_list(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = ["# all of it", "audio/b/b-1.flac", "", *[f"  audio/a/a-{n}.wav" for n in (2, 1)]]
    (tmp_path / "some.list").write_text("\n".join(lines))
    found = format_speech("some.list", "dump", LengthLimits(0.4))
    assert (found.kept, found.too_short) == (2, 1)
    kept = read_utterance_dir("dump")
    assert kept.wavs == {
        "a-a-2": str(tmp_path / "audio/a/a-2.wav"),
        "b-b-1": str(tmp_path / "audio/b/b-1.flac"),
    }
    assert kept.speakers == {"a-a-2": "a-a-2", "b-b-1": "b-b-1"} and kept.texts is None


def test_names_of_a_list(tmp_path: Path) -> None:
    write_audio(tmp_path / "my talks" / "1.wav")
    write_audio(tmp_path / "my talks" / "one two.wav")
    (tmp_path / "list").write_text(f"{tmp_path}/my talks/1.wav\n{tmp_path}/my talks/one two.wav\n")
    assert read_audio_list(tmp_path / "list").wavs == {
        "1": f"{tmp_path}/my talks/1.wav",
        "one_two": f"{tmp_path}/my talks/one two.wav",
    }


@pytest.mark.parametrize(
    "lines, message",
    [
        ("# nothing\n", "expected a path in each line, found none"),
        ("{0}/audio/a/a-1.wav\n{0}/gone.wav\n", "expected an audio file, found none at .*gone.wav"),
        ("{0}/audio/a/a-1.wav\n{0}/audio/a/a-1.wav\n", "different names, found .*a-1.wav and"),
    ],
)
def test_problems_of_a_list(data: Path, tmp_path: Path, lines: str, message: str) -> None:
    (tmp_path / "list").write_text(lines.format(tmp_path))
    with pytest.raises(DataError, match=message):
        read_audio_list(tmp_path / "list")


def test_command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    options = ["--output", str(tmp_path / "dump"), "--min_seconds", "0.5", "--nj", "2"]
    command.main([str(data), *options])
    assert "dump: 3 utterances of 0.00 hours; left out 1 too short and 0 too long" in (
        capsys.readouterr().out
    )
    before = soundfile.info(tmp_path / "audio" / "a" / "a-1.wav").frames
    assert before == 4000
    with pytest.raises(SystemExit, match="check_data: expected 0 <= min_seconds"):
        command.main([str(data), *options, "--max_seconds", "0.1"])
