"""The generated sentences and commands: reproducible, labelled, unseen in test."""

from __future__ import annotations

import csv
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_prune.speech import UtteranceDir, format_speech, read_utterance_dir

pytest.importorskip("espeakng_loader")
pytest.importorskip("pyroomacoustics")

RECIPES = Path(__file__).resolve().parents[2] / "egs2" / "mini_speech"
SETS = ("train", "dev", "test")
SIZES = {"train": 10, "dev": 3, "test": 8}


def generate(task: str, folder: Path, *options: str) -> Path:
    """Runs local/data.sh of a recipe in a folder of its own and returns the data's folder."""
    folder.mkdir(exist_ok=True)
    sizes = [word for name, size in SIZES.items() for word in (f"--num_{name}", str(size))]
    subprocess.run(
        [str(RECIPES / task / "local" / "data.sh"), *sizes, *options],
        cwd=folder,
        env={**os.environ, "python": sys.executable},
        check=True,
        capture_output=True,
    )
    return folder / "data"


def contents(data: Path) -> dict[str, bytes]:
    """Returns the bytes of all files below a folder but the absolute paths, by relative path."""
    paths = (path for path in data.rglob("*") if path.is_file() and path.name != "wav.scp")
    return {str(path.relative_to(data)): path.read_bytes() for path in paths}


def compose(task: str, monkeypatch: pytest.MonkeyPatch):
    """Returns the function that makes the sentences of a recipe."""
    for folder in ("../mini_meeting/diar1", "asr1", "slu1", "pretrain1"):
        monkeypatch.syspath_prepend(str(RECIPES / folder / "local"))
    programs = {"asr1": "stories", "slu1": "commands", "pretrain1": "both"}
    name = f"generate_{programs[task]}"
    return runpy.run_path(str(RECIPES / task / "local" / f"{name}.py"))["compose"]


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate("slu1", tmp_path_factory.mktemp("slu1"), "--nj", "1")


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate("asr1", tmp_path_factory.mktemp("asr1"))


def test_bytes_depend_on_the_seed(commands: Path, tmp_path: Path) -> None:
    reference = contents(commands)
    other = contents(generate("slu1", tmp_path, "--seed", "1"))
    assert len([name for name in reference if name.endswith(".flac")]) == sum(SIZES.values())
    assert not {content for name, content in reference.items() if name.endswith(".flac")} & set(
        other.values()
    )
    assert other["train/text"] != reference["train/text"]


def test_an_interrupted_run_is_completed_by_other_processes(commands: Path, tmp_path: Path) -> None:
    reference = contents(commands)
    damaged, kept = sorted(name for name in reference if "train" in name and "flac" in name)[:2]
    for name in (damaged, kept, kept.replace(".flac", ".json"), damaged.replace("flac", "json")):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(reference[name])
    (tmp_path / "data" / damaged).write_bytes(reference[damaged][:500])
    before = (tmp_path / "data" / kept).stat().st_mtime_ns
    assert contents(generate("slu1", tmp_path, "--nj", "2")) == reference
    assert (tmp_path / "data" / kept).stat().st_mtime_ns == before


@pytest.mark.parametrize("set_name", SETS)
def test_data_directories(commands: Path, stories: Path, tmp_path: Path, set_name: str) -> None:
    for data in (commands, stories):
        assert format_speech(data / set_name, tmp_path / data.parent.name).kept == SIZES[set_name]
        directory = read_utterance_dir(data / set_name)
        for name, path in directory.wavs.items():
            assert name.startswith(directory.speakers[name])
            wave, rate = soundfile.read(path)
            assert rate == 16000 and 0.5 * rate < len(wave) < 6 * rate
            assert 0.2 < np.abs(wave).max() < 0.999
            # Some silence, then words well above the noise.
            level = [np.mean(part**2) for part in (wave[:1500], wave[2500:-4000])]
            assert level[1] > 10 * level[0]


def test_voices_are_in_one_set_only(commands: Path) -> None:
    speakers = [set(read_utterance_dir(commands / name).speakers.values()) for name in SETS]
    assert sum(map(len, speakers)) == len(set.union(*speakers)) == sum(SIZES.values())


@pytest.mark.parametrize("task", ["asr1", "slu1", "pretrain1"])
def test_sentences_of_dev_and_test_are_unseen(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make = compose(task, monkeypatch)
    said: dict[str, set[str]] = {name: set() for name in SETS}
    text: dict[str, set[str]] = {name: set() for name in SETS}
    for seed in range(3):
        for name, size in {"train": 600, "dev": 60, "test": 135}.items():
            for index in range(size):
                rng = np.random.default_rng((seed, SETS.index(name), index))
                words, line = make(rng, index, name)
                said[name].add(words)
                text[name].add(line)
    assert not said["train"] & said["test"]
    assert not said["train"] & said["dev"]
    assert not said["dev"] & said["test"]
    vocabulary = {name: {w for line in lines for w in line.split()} for name, lines in text.items()}
    assert vocabulary["test"] | vocabulary["dev"] <= vocabulary["train"]
    assert 60 <= len(vocabulary["train"]) <= 200
    assert all(word.isalpha() or task == "slu1" for word in vocabulary["train"])


def test_intents_are_balanced_and_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    make = compose("slu1", monkeypatch)
    found: dict[str, int] = {}
    for index in range(80):
        said, line = make(np.random.default_rng(index), index, "test")
        intent, words = line.split(" ", 1)
        assert words == said and "_" in intent
        found[intent] = found.get(intent, 0) + 1
    assert len(found) == 8 and set(found.values()) == {10}


def test_five_test_utterances_of_each_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    compose("asr1", monkeypatch)
    module = runpy.run_path(str(RECIPES / "asr1/local/utterances.py"))
    size = module["get_parser"](None).parse_args([]).num_test
    names = module["_speakers"]("test", size, 0)
    assert {names.count(name) for name in names} == {5}


def test_fluent_layout(commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(RECIPES / "slu1" / "local"))
    write = runpy.run_path(str(RECIPES / "slu1/local/fluent_layout.py"))["write_fluent_layout"]
    write(commands, tmp_path)
    once = contents(tmp_path)
    write(commands, tmp_path)
    assert contents(tmp_path) == once
    for name, fluent in zip(SETS, ("train", "valid", "test"), strict=True):
        directory: UtteranceDir = read_utterance_dir(commands / name)
        with open(tmp_path / "data" / f"{fluent}_data.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row[""] for row in rows] == [str(n) for n in range(SIZES[name])]
        for row, (utterance, path) in zip(rows, directory.wavs.items(), strict=True):
            assert (tmp_path / row["path"]).read_bytes() == Path(path).read_bytes()
            assert row["path"].startswith(f"wavs/speakers/{row['speakerId']}/")
            assert directory.speakers[utterance] == row["speakerId"]
            line = f"{row['object']}_{row['action']} {row['transcription']}"
            assert directory.texts[utterance] == line
            said = row["transcription"].split()
            assert row["location"] in said if row["location"] != "none" else "the" not in said[-2:]


def test_pre_training_has_more(tmp_path: Path) -> None:
    script = (RECIPES / "ssl1/local/data.sh").read_text()
    assert 'asr1/local/data.sh" --num_train 1200 "$@"' in script
    data = generate("ssl1", tmp_path, "--num_train", "2", "--num_dev", "1", "--num_test", "1")
    assert len(read_utterance_dir(data / "train").wavs) == 2
