"""Each corpus becomes data directories with the right channel; what is amiss is told at once."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_prune.data.corpora.meetings import AISHELL4, CORPORA, prepare
from espnet_prune.data.corpora.meetings.recordings import mean_of_channels
from espnet_prune.data.meetings import check_data_dir, read_data_dir
from espnet_prune.data.tables import DataError
from tests.data.corpora.meetings.trees import (
    SECONDS,
    SIZES,
    TURNS,
    make_tree,
    miniature,
    noise,
    textgrid,
    write_audio,
    write_text,
)

EXPECTED_NAMES = {
    "ami": {"train": {"ES2010d", "TS3005a"}, "dev": {"ES2011a"}, "test": {"EN2002a"}},
    "aishell4": {
        "train": {"20200706_L_R001S02C01", "20200622_M_R002S07C01", "20200623_S_R001S01C01"},
        "dev": {"20200706_L_R001S01C01"},
        "test": {"L_R003S01C02"},
    },
    "alimeeting": {
        "train": {"R0003_M0046_MS002", "R0003_M0047_MS006"},
        "dev": {"R8001_M8004_MS801"},
        "test": {"R8002_M8002_MS802"},
    },
}


@pytest.mark.parametrize("name", CORPORA)
def test_splits_turns_and_regions(name: str, tmp_path: Path) -> None:
    sizes = prepare(miniature(name), [make_tree(name, tmp_path / "corpus")], tmp_path / "data")
    assert {split: size.recordings for split, size in sizes.items()} == SIZES[name]
    for split, names in EXPECTED_NAMES[name].items():
        check_data_dir(tmp_path / "data" / split)
        data = read_data_dir(tmp_path / "data" / split)
        assert set(data.wavs) == names
        for recording in names:
            turns = [
                (turn.start, round(turn.end, 4), turn.speaker) for turn in data.turns[recording]
            ]
            prefix = "SPK" if name == "alimeeting" else ""
            assert turns == [(start, end, prefix + speaker) for start, end, speaker in TURNS]
            [region] = data.uem[recording]
            # The UEM file of this one recording says so.
            assert region.end == (0.75 if recording == "EN2002a" else SECONDS)


def test_known_numbers_of_recordings() -> None:
    """The published corpora, all splits: AMI without two lost ones, 211 of AISHELL-4."""
    totals = {
        name: sum(size.recordings for size in corpus.splits.values())
        for name, corpus in CORPORA.items()
    }
    assert totals == {"ami": 168, "aishell4": 211, "alimeeting": 237}


@pytest.mark.parametrize(
    "name, recording, split, channels",
    [
        ("ami", "ES2010d", "train", 2),
        ("aishell4", "L_R003S01C02", "test", 8),
        ("alimeeting", "R8001_M8004_MS801", "dev", 8),
    ],
)
def test_channels(name: str, recording: str, split: str, channels: int, tmp_path: Path) -> None:
    prepare(miniature(name), [make_tree(name, tmp_path / "corpus")], tmp_path / "data")
    path = read_data_dir(tmp_path / "data" / split).wavs[recording]
    mono, rate = soundfile.read(path, dtype="int16", always_2d=True)
    samples = noise(recording, channels)
    if name == "aishell4":
        assert np.abs(mono[:, 0] - samples.astype(float).mean(axis=1)).max() <= 0.5
    else:
        np.testing.assert_array_equal(mono[:, 0], samples[:, 0])
    assert mono.shape[1] == 1 and rate == 16000


def test_mono_files_are_used_where_they_lie(tmp_path: Path) -> None:
    corpus = make_tree("ami", tmp_path / "corpus")
    prepare(miniature("ami"), [corpus], tmp_path / "data")
    wav = read_data_dir(tmp_path / "data" / "dev").wavs["ES2011a"]
    assert wav == str(corpus / "amicorpus/ES2011a/audio/ES2011a.Array1-01.wav")
    assert [path.name for path in (tmp_path / "data").rglob("*.flac")] == ["ES2010d.flac"]


def test_files_in_several_folders(tmp_path: Path) -> None:
    corpus = make_tree("ami", tmp_path / "corpus")
    folders = [corpus / "amicorpus", corpus / "AMI-diarization-setup"]
    assert prepare(miniature("ami"), folders, tmp_path / "data")
    corpus = make_tree("alimeeting", tmp_path / "alimeeting")
    (corpus / "Eval_Ali").rename(tmp_path / "other")
    assert prepare(miniature("alimeeting"), [corpus, tmp_path / "other"], tmp_path / "data2")


def lose_meeting(tree: Path) -> None:
    shutil.rmtree(tree / "ami/amicorpus/TS3005a")


def lose_part(tree: Path) -> None:
    shutil.rmtree(tree / "aishell4/test")


def lose_recording(tree: Path) -> None:
    (tree / "aishell4/train_S/wav/20200623_S_R001S01C01.flac").unlink()


def lose_rttm(tree: Path) -> None:
    (tree / "aishell4/test/TextGrid/L_R003S01C02.rttm").unlink()


def lose_archive(tree: Path) -> None:
    shutil.rmtree(tree / "alimeeting/Eval_Ali")


def lose_seconds(tree: Path) -> None:
    write_audio(tree / "alimeeting/Test_Ali/Test_Ali_far/audio_dir/R8002_M8002_MS802.wav",
                noise("R8002_M8002_MS802", 8, 1.3))  # fmt: skip


@pytest.mark.parametrize(
    "name, spoil, message, left",
    [
        ("ami", lose_meeting, "train: expected .*Array1-01.wav of 2 meetings, .*none of 1: TS3005a",
         {"train": 1, "dev": 1, "test": 1}),
        ("aishell4", lose_part, "expected the folder test, found none; unpack test.tar.gz",
         {"train": 3, "dev": 1}),
        ("aishell4", lose_recording, "train: expected 3 recordings .*, found 2 recordings",
         {"train": 2, "dev": 1, "test": 1}),
        ("aishell4", lose_rttm, r"test: expected an annotation of 1 .*none of 1: \S+C02.rttm",
         {"train": 3, "dev": 1}),
        ("alimeeting", lose_archive, "dev: expected the folder Eval_Ali/Eval_Ali_far, .* unpack",
         {"train": 2, "test": 1}),
        ("alimeeting", lose_seconds, "test: expected 1 recordings .*, found 1 recordings",
         {"train": 2, "dev": 1, "test": 1}),
    ],
)  # fmt: skip
def test_an_incomplete_corpus(
    name: str,
    spoil: Callable[[Path], None],
    message: str,
    left: dict[str, int],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    corpus = make_tree(name, tmp_path / name)
    spoil(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        prepare(miniature(name), [corpus], tmp_path / "data")
    assert "--allow_incomplete" in caught.value.args[0]
    assert CORPORA[name].home in caught.value.args[0]
    assert not (tmp_path / "data").exists()
    sizes = prepare(miniature(name), [corpus], tmp_path / "data", allow_incomplete=True)
    assert {split: size.recordings for split, size in sizes.items()} == left
    assert "incomplete: " in caplog.text


@pytest.mark.parametrize("name", CORPORA)
def test_a_wrong_folder_is_never_a_part(name: str, tmp_path: Path) -> None:
    (tmp_path / "wrong").mkdir()
    with pytest.raises(DataError, match="expected .* found no"):
        prepare(miniature(name), [tmp_path / "wrong"], tmp_path / "data", allow_incomplete=True)


def test_ami_without_its_references(tmp_path: Path) -> None:
    corpus = make_tree("ami", tmp_path / "corpus")
    with pytest.raises(DataError, match="expected AMI-diarization-setup .* run `git clone"):
        prepare(miniature("ami"), [corpus / "amicorpus"], tmp_path / "data")


WAV = "Train_Ali_far/audio_dir/R0003_M0046_MS002.wav"
GRID = "Train_Ali_far/textgrid_dir/R0003_M0046.TextGrid"


def seven_channels(tree: Path) -> None:
    write_audio(tree / WAV, noise("x", 7))


def wrong_rate(tree: Path) -> None:
    write_audio(tree / WAV, noise("x", 8), rate=48000)


def floats(tree: Path) -> None:
    soundfile.write(tree / WAV, np.zeros((24000, 8)), 16000, subtype="FLOAT")


def no_samples(tree: Path) -> None:
    write_audio(tree / WAV, noise("x", 8)[:0])


def truncated(tree: Path) -> None:
    (tree / WAV).write_bytes((tree / WAV).read_bytes()[:300000])


def not_audio(tree: Path) -> None:
    (tree / WAV).write_text("not audio")


def broken_textgrid(tree: Path) -> None:
    (tree / GRID).write_text((tree / GRID).read_text()[:-20])


@pytest.mark.parametrize(
    "spoil, message",
    [
        (seven_channels, r"MS002.wav: expected 8 channel\(s\), found 7"),
        (wrong_rate, "MS002.wav: expected 16000 Hz PCM, found 48000 Hz"),
        (floats, "MS002.wav: expected 16000 Hz PCM, found 16000 Hz FLOAT"),
        (no_samples, "expected samples, found 0 in .*MS002.wav"),
        (truncated, "expected 384000 bytes of samples .*, found 299956 in .*MS002.wav"),
        (not_audio, "expected readable audio, found .* in .*MS002.wav"),
        (broken_textgrid, "R0003_M0046.TextGrid: expected a TextGrid, found a file that can not"),
    ],
)
def test_defects_are_never_left_out(
    spoil: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    corpus = make_tree("alimeeting", tmp_path / "corpus")
    spoil(corpus)
    with pytest.raises(DataError, match=message):
        prepare(miniature("alimeeting"), [corpus], tmp_path / "data", allow_incomplete=True)
    assert not (tmp_path / "data").exists()


def test_turns_are_cut_at_the_end_of_the_audio(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    corpus = make_tree("alimeeting", tmp_path / "corpus")
    intervals = [(0.2, 1.0, "a"), (1.2, 2.0, "b"), (2.1, 2.4, "c")]
    write_text(corpus / GRID, textgrid({"N_SPK0001": intervals}, 2.4))
    with caplog.at_level(logging.WARNING):
        prepare(miniature("alimeeting"), [corpus], tmp_path / "data")
    assert f"{corpus / GRID}: left out 0.8 s of turns after the end" in caplog.text
    turns = read_data_dir(tmp_path / "data" / "train").turns["R0003_M0046_MS002"]
    assert [(turn.start, round(turn.end, 4)) for turn in turns] == [(0.2, 1.0), (1.2, 1.5)]


def test_rttm_of_another_recording(tmp_path: Path) -> None:
    corpus = make_tree("aishell4", tmp_path / "corpus")
    path = corpus / "test/TextGrid/L_R003S01C02.rttm"
    path.write_text(path.read_text().replace("L_R003S01C02", "L_R003S02C02"))
    with pytest.raises(DataError, match="expected turns of L_R003S01C02, found L_R003S02C02"):
        prepare(miniature("aishell4"), [corpus], tmp_path / "data")


def test_a_killed_run_continues(tmp_path: Path) -> None:
    corpus = make_tree("aishell4", tmp_path / "corpus")
    calls = []

    def killed_at_the_third(samples):
        calls.append(len(samples))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return mean_of_channels(samples)

    tiny = replace(miniature("aishell4"), to_mono=killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        prepare(tiny, [corpus], tmp_path / "data")
    audio = tmp_path / "data" / "local" / "audio"
    finished = {path: path.stat().st_mtime_ns for path in audio.rglob("*.flac")}
    assert len(finished) == 2
    assert not (tmp_path / "data" / "train" / "wav.scp").exists()
    # What a kill that no program can catch leaves behind.
    (audio / "train" / ".20200623_S_R001S01C01.flac.x.tmp").write_bytes(b"fLaC")
    prepare(tiny, [corpus], tmp_path / "data")
    assert len(calls) == 3 + 3  # five recordings, two of them kept
    assert all(path.stat().st_mtime_ns == time for path, time in finished.items())
    assert check_data_dir(tmp_path / "data" / "train").recordings == 3
    assert not list(audio.rglob("*.tmp"))
    prepare(tiny, [corpus], tmp_path / "data")
    assert len(calls) == 6


def test_the_result_does_not_depend_on_the_number_of_jobs(tmp_path: Path) -> None:
    corpus = make_tree("aishell4", tmp_path / "corpus")
    contents = []
    for nj in (1, 3):
        output = tmp_path / f"data{nj}"
        prepare(miniature("aishell4"), [corpus], output, nj=nj)
        contents.append({path.name: path.read_bytes() for path in output.rglob("*.flac")})
    assert contents[0] == contents[1] and len(contents[0]) == 5


def test_aishell4_dev_is_part_of_train() -> None:
    from espnet_prune.data.corpora.meetings.aishell4 import DEV

    assert len(DEV) == AISHELL4.splits["dev"].recordings
