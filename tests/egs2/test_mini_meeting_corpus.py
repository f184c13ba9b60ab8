"""The generated corpora: reproducible, with exact references and voices that stay in their set."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("espeakng_loader")
pytest.importorskip("pyroomacoustics")

RECIPES = Path(__file__).resolve().parents[2] / "egs2" / "mini_meeting"
SETS = ("train", "dev", "test")
RATE = 16000


def generate(program: str, folder: Path, *options: str) -> Path:
    """Runs a generator of a recipe in a folder of its own and returns the folder."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(RECIPES / program), *options]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def generate_meetings(folder: Path, *options: str) -> Path:
    """Generates meetings of two, three and four speakers for train, and one for dev and test."""
    sizes = ("--num_train", "3", "--num_dev", "1", "--num_test", "1", "--duration", "10")
    return generate("diar1/local/generate_meetings.py", folder, *sizes, *options)


def contents(folder: Path) -> dict[str, bytes]:
    """Returns the bytes of all files below a folder, by relative path."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def table(path: Path) -> dict[str, list[str]]:
    """Returns the lines of a Kaldi-style file as key and fields."""
    lines = path.read_text().splitlines()
    assert lines == sorted(lines)
    return {fields[0]: fields[1:] for fields in map(str.split, lines)}


def read_turns(corpus: Path, set_name: str) -> dict[str, list[tuple[str, float, float]]]:
    """Returns (speaker, start, end) of the turns of each recording of a set."""
    turns: dict[str, list[tuple[str, float, float]]] = {}
    for line in (corpus / "data" / set_name / "rttm").read_text().splitlines():
        _, recording, _, start, duration, _, _, speaker, _, _ = line.split()
        end = float(start) + float(duration)
        turns.setdefault(recording, []).append((speaker, float(start), end))
    return turns


def activity(turns: list[tuple[str, float, float]], num_frames: int) -> np.ndarray:
    """Returns how many speak in each frame of 10 ms, `(L,)`."""
    speaking = np.zeros(num_frames, dtype=int)
    for _, start, end in turns:
        speaking[round(100 * start) : round(100 * end)] += 1
    return speaking


@pytest.fixture(scope="module")
def meetings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_meetings(tmp_path_factory.mktemp("meetings"), "--nj", "1")


def test_bytes_depend_on_seed_but_not_on_processes_or_earlier_runs(
    meetings: Path, tmp_path: Path
) -> None:
    reference = contents(meetings)
    other = contents(generate_meetings(tmp_path, "--nj", "2", "--seed", "1"))
    again = contents(generate_meetings(tmp_path, "--nj", "2"))
    assert again == reference
    assert other.keys() == reference.keys()
    audio = [name for name in reference if name.endswith(".flac")]
    assert len(audio) == 5
    assert all(other[name] != reference[name] for name in audio)


def test_an_interrupted_run_is_completed_to_the_same_bytes(meetings: Path, tmp_path: Path) -> None:
    reference = contents(meetings)
    for name, content in reference.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    audio = tmp_path / "data" / "local" / "audio"
    damaged = audio / "train" / "train_000.flac"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    (audio / "train" / "train_001.json").unlink()
    kept = audio / "dev" / "dev_000.flac"
    before = kept.stat().st_mtime_ns
    generate_meetings(tmp_path)
    assert contents(tmp_path) == reference
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize("set_name", SETS)
def test_files_of_a_set_agree(meetings: Path, set_name: str) -> None:
    folder = meetings / "data" / set_name
    durations = table(folder / "reco2dur")
    for recording, (path,) in table(folder / "wav.scp").items():
        info = soundfile.info(meetings / path)
        assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
        assert float(durations[recording][0]) == pytest.approx(info.duration, abs=1e-3)
    uem = table(folder / "uem")
    assert uem == {name: ["1", "0.000", *fields] for name, fields in durations.items()}
    speaker_of = {name: fields[0] for name, fields in table(folder / "utt2spk").items()}
    segments = table(folder / "segments")
    assert segments.keys() == speaker_of.keys()
    of_segments = sorted(
        (recording, speaker_of[name], float(start), float(end))
        for name, (recording, start, end) in segments.items()
    )
    of_rttm = sorted(
        (recording, *turn)
        for recording, own in read_turns(meetings, set_name).items()
        for turn in own
    )
    assert [item[:2] for item in of_segments] == [item[:2] for item in of_rttm]
    np.testing.assert_allclose(
        [item[2:] for item in of_segments], [item[2:] for item in of_rttm], atol=1e-6
    )
    listed = {name: speaker for speaker, own in table(folder / "spk2utt").items() for name in own}
    assert listed == speaker_of


def test_meetings_have_two_to_four_speakers_who_overlap(meetings: Path) -> None:
    turns = read_turns(meetings, "train")
    assert sorted(len({speaker for speaker, _, _ in own}) for own in turns.values()) == [2, 3, 4]
    speaking = np.concatenate([activity(own, 6000) for own in turns.values()])
    assert 0.02 < np.mean(speaking[speaking > 0] > 1) < 0.4


def test_meetings_of_other_numbers_of_speakers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(RECIPES / "diar1/local"))
    program = runpy.run_path(str(RECIPES / "diar1/local/generate_meetings.py"))
    args = program["get_parser"]().parse_args(["--num_speakers", "2", "5"])
    jobs = [program["meeting_job"]("train", index, args) for index in range(4)]
    assert [len(set(job.speakers)) for job in jobs] == [2, 5, 2, 5]


@pytest.mark.parametrize("set_name", SETS)
def test_speech_is_where_the_reference_says(meetings: Path, set_name: str) -> None:
    paths = table(meetings / "data" / set_name / "wav.scp")
    for recording, turns in read_turns(meetings, set_name).items():
        wave, _ = soundfile.read(meetings / paths[recording][0])
        assert 0.2 < np.abs(wave).max() < 0.999
        assert all(0.0 <= start < end <= len(wave) / RATE for _, start, end in turns)
        energy = np.mean(wave[: len(wave) // 160 * 160].reshape(-1, 160) ** 2, axis=1)
        speech = activity(turns, len(energy)) > 0
        # Reverberation rings on for a while after a turn.
        silence = ~np.convolve(speech, np.ones(30, dtype=bool))[: len(energy)]
        assert energy[speech].mean() > 10 * energy[silence].mean()
        onset = round(100 * min(start for _, start, _ in turns))
        assert energy[onset : onset + 20].max() > 10 * energy[:onset].mean()


def test_turns_are_split_at_long_pauses_only() -> None:
    module = runpy.run_path(str(RECIPES / "diar1" / "local" / "turns.py"))
    speech, short, long = np.ones(RATE), np.zeros(2 * RATE // 5), np.zeros(3 * RATE // 5)
    wave = np.concatenate([speech, short, speech, long, speech])
    utterances = [
        module["Utterance"]("a", RATE, wave),
        module["Utterance"]("b", RATE // 2, speech),
    ]
    found = [(turn.speaker, turn.start, turn.end) for turn in module["turns_of"](utterances, RATE)]
    assert found == [("b", 0.5, 1.5), ("a", 1.0, 3.4), ("a", 4.0, 5.0)]


def test_voices_are_many_distinct_and_in_one_set_only() -> None:
    voices_of = runpy.run_path(str(RECIPES / "diar1" / "local" / "voices.py"))["voices_of"]
    voices = {name: voices_of(name) for name in SETS}
    names = [voice.name for own in voices.values() for voice in own]
    assert len(names) == len(set(names)) >= 200
    variants = [{voice.variant for voice in own} for own in voices.values()]
    assert sum(map(len, variants)) == len(set.union(*variants))
    assert len(voices["train"]) == pytest.approx(0.75 * len(names), rel=0.02)
    with pytest.raises(ValueError, match="found 'eval'"):
        voices_of("eval")
