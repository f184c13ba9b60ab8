"""Miniature corpora in the layout of the published archives."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from espnet_prune.data.corpora.utterances import CORPORA, SpeechCorpus

RATE = 16000
CHAPTERS = {
    "train-clean-100": {"103-1240": 2, "1034-121119": 1},
    "train-clean-360": {"100-121669": 1},
    "train-other-500": {"1006-135212": 1},
    "dev-clean": {"84-121123": 1},
    "dev-other": {"116-288045": 1},
    "test-clean": {"61-70968": 2},
    "test-other": {"367-130732": 1},
}
"""Utterances of each chapter of each part."""

SENTENCES = {
    "train": [
        ("alarm", "set", "wake me up at eight o'clock", {"audio-1502099775": "FO-460"}),
        ("email", "query", "any mail from bob@mail.com, <unk>", {"audio--1504194195": "UNK-323"}),
    ],
    "train_synthetic": [("play", "music", "Play Some #jazz.", {"audio-1": None})],
    "devel": [("iot", "hue_lightoff", "lights off", {"audio-1434536989": "MO-433"})],
    "test": [("qa", "maths", "what is one and one", {"audio-1434542201": "FE-149"})],
}
"""Scenario, action, words, and the speaker of each recording."""

VOICES = {"train": {"0001": "6", "0005": "21", "0010": "30"}, "test": {"0024": "25", "0044": "6"}}
"""Speakers of speechocean762 and their ages; 0005 is of dev."""

ORDERS = {
    "00e0-01": {"coffeeDrink": "iced coffee", "roast": "light roast", "size": "large"},
    "85ab-02": {"coffeeDrink": "latte", "milkAmount": " soy milk"},
    "9c01-03": {"coffeeDrink": "latte"},
    "e077-04": {"coffeeDrink": "mocha", "numberOfShots": "double shot", "sugarAmount": "sugar"},
}
"""Slots of each order: two of train, one of dev, one of test."""


def write_audio(path: Path, seconds: float = 0.2, rate: int = RATE, channels: int = 1) -> None:
    """Write noise that depends on the file's name alone."""
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = rng.uniform(-0.1, 0.1, (round(seconds * rate), channels))
    soundfile.write(path, samples, rate, subtype="PCM_16")


def write_table(path: Path, table: Mapping[str, str]) -> None:
    """Write a table, a line for each key, in the order given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{key} {value}\n" for key, value in table.items()))


def make_librispeech(folder: Path) -> Path:
    """Make `<part>/<speaker>/<chapter>` of every part."""
    for part, chapters in CHAPTERS.items():
        for chapter, number in chapters.items():
            place = folder / part / chapter.replace("-", "/")
            names = [f"{chapter}-{index:04d}" for index in range(number)]
            for name in names:
                write_audio(place / f"{name}.flac")
            write_table(
                place / f"{chapter}.trans.txt", {name: f"WORDS OF {name}" for name in names}
            )
    return folder


def make_slurp(folder: Path) -> Path:
    """Make lists, metadata, and audio of a near and a far microphone."""
    texts = folder / "dataset" / "slurp"
    texts.mkdir(parents=True)
    metadata = {}
    for part, sentences in SENTENCES.items():
        kind = "slurp_synth" if part == "train_synthetic" else "slurp_real"
        lines = []
        for scenario, action, words, recordings in sentences:
            files = {
                f"{name}{suffix}.flac": speaker
                for name, speaker in recordings.items()
                for suffix in ("", "-headset")
            }
            for file in files:
                write_audio(folder / "audio" / kind / file)
            entry = {
                "slurp_id": len(metadata),
                "sentence": words,
                # The corpus's own field may differ from scenario and action.
                "intent": f"{scenario}_other",
                "scenario": scenario,
                "action": action,
                "recordings": [{"file": file, "wer": 0, "status": "correct"} for file in files],
            }
            lines.append(json.dumps(entry))
            metadata[str(len(metadata))] = {
                "recordings": {
                    file: {"usrid": speaker} for file, speaker in files.items() if speaker
                }
            }
        (texts / f"{part}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (texts / "metadata.json").write_text(json.dumps(metadata))
    return folder


def make_speechocean762(folder: Path) -> Path:
    """Make tables and two utterances of each speaker, as the archive has them."""
    for part, ages in VOICES.items():
        names = {f"{speaker}{number:04d}": speaker for speaker in ages for number in (1, 2)}
        wavs = {name: f"WAVE/SPEAKER{speaker}/{name}.WAV" for name, speaker in names.items()}
        for wav in wavs.values():
            write_audio(folder / wav)
        write_table(folder / part / "wav.scp", wavs)
        write_table(folder / part / "utt2spk", names)
        write_table(folder / part / "text", {name: f"WORDS OF {name}" for name in names})
        # That of ages is not sorted.
        write_table(folder / part / "spk2age", dict(reversed(ages.items())))
        write_table(folder / part / "spk2gender", dict.fromkeys(ages, "f"))
    return folder


def make_barista(folder: Path) -> Path:
    """Make labels and orders, as the repository has them."""
    for name in ORDERS:
        write_audio(folder / "speech" / "clean" / f"{name}.wav")
    orders = {
        f"{name}.wav": {"intent": "orderDrink", "slots": slots} for name, slots in ORDERS.items()
    }
    (folder / "label").mkdir()
    (folder / "label" / "label.json").write_text(json.dumps(orders))
    return folder


NUMBERS = {
    "librispeech": {part: sum(chapters.values()) for part, chapters in CHAPTERS.items()},
    "speechocean762": {"train": 4, "dev": 2, "test": 4},
    "slurp": {"train": None, "train_synthetic": None, "devel": 2, "test": 2},
    "picovoice_barista": {"train": 2, "dev": 1, "test": 1},
}
MAKE = {
    "librispeech": make_librispeech,
    "speechocean762": make_speechocean762,
    "slurp": make_slurp,
    "picovoice_barista": make_barista,
}


def miniature(name: str) -> SpeechCorpus:
    """Return a corpus of which the test's tree is complete."""
    return replace(CORPORA[name], parts=NUMBERS[name])
