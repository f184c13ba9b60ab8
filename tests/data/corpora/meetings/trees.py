"""Miniature meeting corpora in the layout in which the true ones are distributed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from espnet_prune.data.corpora.meetings import CORPORA, Corpus, Size

SECONDS = 1.5
TURNS = [(0.1, 0.6, "A"), (0.5, 1.25, "B")]  # start, end, speaker

AMI_MEETINGS = {"train": ["ES2010d", "IS1003b", "TS3005a"], "dev": ["ES2011a"], "test": ["EN2002a"]}
AISHELL4_RECORDINGS = {
    "train_L": ["20200706_L_R001S01C01", "20200706_L_R001S02C01"],  # the first is of dev
    "train_M": ["20200622_M_R002S07C01"],
    "train_S": ["20200623_S_R001S01C01"],
    "test": ["L_R003S01C02"],
}
ALIMEETING_RECORDINGS = {
    "Train_Ali_far": ["R0003_M0046_MS002", "R0003_M0047_MS006"],
    "Eval_Ali/Eval_Ali_far": ["R8001_M8004_MS801"],
    "Test_Ali/Test_Ali_far": ["R8002_M8002_MS802"],
}
SIZES = {
    "ami": {"train": 2, "dev": 1, "test": 1},
    "aishell4": {"train": 3, "dev": 1, "test": 1},
    "alimeeting": {"train": 2, "dev": 1, "test": 1},
}


def miniature(name: str) -> Corpus:
    """Make a corpus that expects the sizes of its miniature."""
    sizes = {split: Size(n, n * SECONDS / 3600) for split, n in SIZES[name].items()}
    return replace(CORPORA[name], splits=sizes)


def make_tree(name: str, root: Path) -> Path:
    """Make the miniature of a corpus in a new folder and return that."""
    {"ami": _ami, "aishell4": _aishell4, "alimeeting": _alimeeting}[name](root)
    return root


def noise(name: str, channels: int, seconds: float = SECONDS) -> NDArray[np.int16]:
    """Make (T, channels) samples that only depend on the recording's name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return rng.integers(-20000, 20000, (round(seconds * 16000), channels), np.int16)


def write_audio(path: Path, samples: NDArray[np.int16], rate: int = 16000) -> None:
    """Write 16-bit audio and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")


def write_text(path: Path, text: str) -> None:
    """Write a text file and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def textgrid(tiers: Mapping[str, Sequence[tuple[float, float, str]]], end: float) -> str:
    """Format a TextGrid in the long text format, with (start, end, text) intervals."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0"]
    lines += [f"xmax = {end}", "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, intervals) in enumerate(tiers.items(), start=1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"']
        lines += [f'        name = "{name}"', "        xmin = 0", f"        xmax = {end}"]
        lines += [f"        intervals: size = {len(intervals)}"]
        for index, (start, stop, text) in enumerate(intervals, start=1):
            lines += [f"        intervals [{index}]:", f"            xmin = {start}"]
            lines += [f"            xmax = {stop}", f'            text = "{text}"']
    return "\n".join(lines) + "\n"


def rttm(name: str) -> str:
    """Format the turns of a recording."""
    return "".join(
        f"SPEAKER {name} 1 {start} {end - start:.4f} <NA> <NA> {speaker} <NA> <NA>\n"
        for start, end, speaker in TURNS
    )


def _ami(root: Path) -> None:
    setup = root / "AMI-diarization-setup"
    for split, names in AMI_MEETINGS.items():
        write_text(setup / "lists" / f"{split}.meetings.txt", "".join(f"{n}\n" for n in names))
        for name in names:
            write_text(setup / "only_words" / "rttms" / split / f"{name}.rttm", rttm(name))
            uem = f"{name} 1 0.000 {0.75 if name == 'EN2002a' else SECONDS}\n"
            write_text(setup / "uems" / split / f"{name}.uem", uem)
            if name != "IS1003b":
                audio = root / "amicorpus" / name / "audio" / f"{name}.Array1-01.wav"
                write_audio(audio, noise(name, 2 if name == "ES2010d" else 1))


def _aishell4(root: Path) -> None:
    for part, names in AISHELL4_RECORDINGS.items():
        for name in names:
            write_audio(root / part / "wav" / f"{name}.flac", noise(name, 8))
            write_text(root / part / "TextGrid" / f"{name}.rttm", rttm(name))
            write_text(root / part / "TextGrid" / f"{name}.TextGrid", "not read")


def _alimeeting(root: Path) -> None:
    tiers = {f"N_SPK{speaker}": [(start, end, "你好")] for start, end, speaker in TURNS}
    tiers["N_SPKA"].append((0.6, 0.7, ""))
    for part, names in ALIMEETING_RECORDINGS.items():
        for name in names:
            write_audio(root / part / "audio_dir" / f"{name}.wav", noise(name, 8))
            meeting = name.rpartition("_")[0]
            grid = root / part / "textgrid_dir" / f"{meeting}.TextGrid"
            write_text(grid, textgrid(tiers, SECONDS))
