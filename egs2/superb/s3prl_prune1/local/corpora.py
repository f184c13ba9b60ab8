"""What a complete copy of each corpus of SUPERB holds; lists that come with it are the measure."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from espnet_prune.data.tables import DataError

Check = Callable[[Path, Mapping[str, Any]], dict[str, int]]
"""Counts what a corpus holds: (folder, the task's overrides) to counts by name."""

_LIBRISPEECH = {"train-clean-100": 28539, "dev-clean": 2703, "test-clean": 2620}
_FLUENT_SETS = ("train", "valid", "test")
_SNIPS_SETS = ("train", "valid", "test")
_SLOTS = ("action", "object", "location")


def librispeech(folder: Path, overrides: Mapping[str, Any]) -> dict[str, int]:
    """Every utterance of every transcript has its FLAC file, and there are as many as published."""
    counts = {}
    for name, expected in _LIBRISPEECH.items():
        get = f"download {name}.tar.gz from https://www.openslr.org/12 and unpack it to {folder}"
        paths = [
            path.parent / f"{line.split()[0]}.flac"
            for path in sorted((folder / name).glob("*/*/*.trans.txt"))
            for line in path.read_text().splitlines()
        ]
        _expect(paths, get)
        if len(paths) != expected:
            raise DataError(
                f"{folder / name}: expected {expected} utterances, found {len(paths)}; {get}"
            )
        counts[name] = len(paths)
    return counts


def speech_commands(folder: Path, overrides: Mapping[str, Any]) -> dict[str, int]:
    """Version 0.01: the words, the noises, and what the lists of its own split name."""
    get = (
        "download http://download.tensorflow.org/data/speech_commands_v0.01.tar.gz and unpack it "
        f"to {folder}"
    )
    lists = [folder / name for name in ("validation_list.txt", "testing_list.txt")]
    noises = sorted((folder / "_background_noise_").glob("*.wav"))
    _expect([*lists, *(noises or [folder / "_background_noise_/*.wav"])], get)
    listed = [folder / line for path in lists for line in path.read_text().split()]
    _expect(listed, get)
    words = len([path for path in folder.iterdir() if path.is_dir()]) - 1
    return {"words": words, "utterances": len(list(folder.glob("[a-z]*/*.wav")))}


def speech_commands_test(folder: Path, overrides: Mapping[str, Any]) -> dict[str, int]:
    """The test set of ten words, other words and silence, a folder each."""
    get = (
        "download http://download.tensorflow.org/data/speech_commands_test_set_v0.01.tar.gz and "
        f"unpack it to {folder}"
    )
    classes = sorted(path for path in _folders(folder, get) if any(path.glob("*.wav")))
    if len(classes) != 12:
        raise DataError(
            f"{folder}: expected 12 folders with wav files, found {len(classes)}; {get}"
        )
    return {"classes": 12, "utterances": len(list(folder.glob("*/*.wav")))}


def quesst14(folder: Path, overrides: Mapping[str, Any]) -> dict[str, int]:
    """The non-native English part, as its lists name it, and the scorer."""
    get = (
        "download https://speech.fit.vutbr.cz/files/quesst14Database.tgz and unpack it to "
        f"{folder.parent}"
    )
    scoring = folder / "scoring"
    truths = ("groundtruth_quesst14_dev", "groundtruth_quesst14_eval")
    _expect([scoring / name for name in ("score-TWV-Cnxe.sh", *truths)], get)
    counts = {}
    for name in ("utterances", "dev", "eval"):
        path = scoring / f"language_key_{name}.lst"
        _expect([path], get)
        fields = [line.split() for line in path.read_text().splitlines()]
        audio = [folder / item.split("/", 1)[1] for item, key in fields if key == "nnenglish"]
        _expect(audio, get)
        counts[name] = len(audio)
    return counts


def voxceleb1(folder: Path, overrides: Mapping[str, Any]) -> dict[str, int]:
    """Every utterance that the task's list names."""
    get = (
        "ask for VoxCeleb1 at https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox1.html and unpack "
        f"its dev and test parts to {folder}/dev/wav and {folder}/test/wav"
    )
    _expect([folder / "dev/wav", folder / "test/wav"], get)
    identification = overrides.get("downstream_expert.datarc.meta_data")
    if identification is not None:  # lines of '<set> <path>'
        names = [line.split()[1] for line in Path(identification).read_text().splitlines()]
        parts = [folder / "dev/wav", folder / "test/wav"]
        missing = [name for name in names if not any((part / name).is_file() for part in parts)]
        _report([str(folder / "*/wav" / name) for name in missing], get)
        return {"utterances": len(names)}
    trials = Path(overrides["downstream_expert.datarc.test_meta_data"]).read_text().splitlines()
    used = {name for line in trials for name in line.split()[1:]}
    _expect([folder / "test/wav" / name for name in sorted(used)], get)
    speakers = len([path for path in (folder / "dev/wav").iterdir() if path.is_dir()])
    return {"training speakers": speakers, "trials": len(trials), "test utterances": len(used)}


def iemocap(folder: Path, overrides: Mapping[str, Any]) -> dict[str, int]:
    """Every utterance that s3prl's lists of the five sessions name."""
    get = f"ask for IEMOCAP at https://sail.usc.edu/iemocap and unpack it to {folder}"
    counts = {}
    lists = Path(overrides["downstream_expert.datarc.meta_data"])
    for session in range(1, 6):
        path = lists / f"Session{session}" / "test_meta_data.json"
        items = json.loads(path.read_text())["meta_data"]
        _expect([folder / item["path"] for item in items], get)
        counts[f"Session{session}"] = len(items)
    return counts


def fluent(folder: Path, overrides: Mapping[str, Any]) -> dict[str, int]:
    """Every utterance of the three tables; no intent of valid or test is unknown to train."""
    get = (
        "get Fluent Speech Commands (https://fluent.ai, Research, the data set) and unpack it so "
        f"that {folder} has wavs and data"
    )
    counts, known = {}, {slot: set() for slot in _SLOTS}
    for name in _FLUENT_SETS:
        path = folder / "data" / f"{name}_data.csv"
        _expect([path], get)
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        for column in ("path", *_SLOTS):
            if not rows or column not in rows[0]:
                raise DataError(f"{path}: expected rows with a column {column}, found none; {get}")
        _expect([folder / row["path"] for row in rows], get)
        for slot, values in known.items():
            found = {row[slot] for row in rows}
            if name == "train":
                values |= found
            elif found - values:
                raise DataError(
                    f"{path}: expected values of {slot} that train has, found "
                    f"{', '.join(sorted(found - values))}; correct the table"
                )
        counts[name] = len(rows)
    return counts


def snips(folder: Path, overrides: Mapping[str, Any]) -> dict[str, int]:
    """The preprocessed corpus: transcripts with slots, and audio of every set."""
    get = (
        "get the preprocessed Audio SNIPS as s3prl's docs/superb.md says (SF) and unpack it to "
        f"{folder}"
    )
    _expect([folder / "all.iob.snips.txt", folder / "slots.txt"], get)
    labelled = {
        line.split(maxsplit=1)[0]
        for line in (folder / "all.iob.snips.txt").read_text().splitlines()
    }
    counts = {"labelled": len(labelled)}
    for name in _SNIPS_SETS:
        found = {path.stem for path in (folder / name).rglob("*.wav")}
        if not found & labelled:
            raise DataError(
                f"{folder / name}: expected wav files of labelled utterances, found none; {get}"
            )
        counts[name] = len(found & labelled)
    return counts


def libri2mix(folder: Path, overrides: Mapping[str, Any]) -> dict[str, int]:
    """Kaldi-style folders with two speakers at most in a recording, and the true turns of test."""
    get = (
        "make Libri2Mix as s3prl's docs/superb.md says (SD: generate_librimix_sd.sh, then "
        f"prepare_diarization.py --target_dir {folder})"
    )
    counts = {}
    for name in ("train", "dev", "test"):
        files = ["wav.scp", "segments", "utt2spk", "reco2dur", *["rttm"] * (name == "test")]
        _expect([folder / name / file for file in files], get)
        table = {file: _table(folder / name / file) for file in files if file != "rttm"}
        _expect([Path(fields[0]) for fields in table["wav.scp"].values()], get)
        speakers: dict[str, set[str]] = {}
        for utterance, fields in table["segments"].items():
            speaker = table["utt2spk"].get(utterance, [utterance])[0]
            speakers.setdefault(fields[0], set()).add(speaker)
        crowded = [key for key, present in speakers.items() if len(present) > 2]
        if crowded:
            raise DataError(
                f"{folder / name}: expected 2 speakers at most in a recording, found more in "
                f"{crowded[0]} and {len(crowded) - 1} more; {get}"
            )
        counts[name] = len(table["wav.scp"])
    return counts


def lengths(folder: Path, overrides: Mapping[str, Any]) -> dict[str, int]:
    """Tables of durations of the ASR task."""
    paths = [folder / f"{name}.csv" for name in _LIBRISPEECH]
    _expect(paths, "local/asr_lengths.py writes it; run.sh calls that in stage 2")
    return {path.stem: len(path.read_text().splitlines()) - 1 for path in paths}


def _table(path: Path) -> dict[str, list[str]]:
    rows = [line.split() for line in path.read_text().splitlines()]
    return {fields[0]: fields[1:] for fields in rows if fields}


def _folders(folder: Path, get: str) -> list[Path]:
    _expect([folder], get)
    return [path for path in folder.iterdir() if path.is_dir()]


def _expect(paths: Iterable[Path], get: str) -> None:
    _report([str(path) for path in paths if not os.path.exists(path)], get)


def _report(missing: list[str], get: str) -> None:
    if missing:
        raise DataError(*(f"expected {path}, found none" for path in missing), get)


CORPORA: dict[str, Check] = {
    check.__name__: check
    for check in (
        librispeech,
        lengths,
        speech_commands,
        speech_commands_test,
        quesst14,
        voxceleb1,
        iemocap,
        fluent,
        snips,
        libri2mix,
    )
}
