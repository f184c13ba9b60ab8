"""SLURP (Bastianelli et al., 2020, arXiv 2011.13205): commands to a home assistant, with intents.

Names, speakers, intents and the normalisation of transcripts are those of ESPnet's recipe
``slurp/slu1`` (read in its public repository), so that scores compare: the label is
``<scenario>_<action>``, also where the corpus's own field ``intent`` differs (30 of 2033 sentences
of devel), and ``train`` is real and synthetic speech together. Transcripts of both kinds are in
lower case here, there those of synthetic speech only; devel and test have no capitals.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from espnet_prune.data.corpora.utterances.corpus import Found, SpeechCorpus, Utterance, audio_files
from espnet_prune.data.tables import DataError

REPOSITORY = "https://github.com/pswietojanski/slurp"
RECORD = "https://zenodo.org/record/4274930"
SYNTHETIC = "train_synthetic"
_MARKS = str.maketrans({"@": " at ", "#": " hashtag ", ",": None, ".": None})


def find(folder: Path, part: str) -> Found:
    """Find what ``dataset/slurp/<part>.jsonl`` lists, in ``audio/slurp_{real,synth}``.

    A sentence has several recordings, mostly of a near and a far microphone. Real ones have their
    speakers in ``dataset/slurp/metadata.json``; the synthetic ones count as one.

    Raises:
        DataError: with every malformed line, and recordings without a speaker.
    """
    texts = folder / "dataset" / "slurp"
    lists = [texts / f"{part}.jsonl", *[texts / "metadata.json"] * (part != SYNTHETIC)]
    absent = [path for path in lists if not path.is_file()]
    if absent:
        return Found((), [str(path) for path in absent])
    folder = folder / "audio" / ("slurp_synth" if part == SYNTHETIC else "slurp_real")
    audio = audio_files(folder)
    speakers = {} if part == SYNTHETIC else _speakers(texts / "metadata.json")
    utterances: list[Utterance] = []
    missing: list[str] = []
    problems: list[str] = []
    for file, text in _recordings(texts / f"{part}.jsonl"):
        speaker = "synthetic" if part == SYNTHETIC else speakers.get(file)
        if speaker is None:
            problems.append(
                f"{texts / 'metadata.json'}: expected the speaker of {file}, found none"
            )
        elif found := audio.get(Path(file).stem):
            name = f"slurp_{speaker}_{found.stem.removeprefix('audio-')}"
            utterances.append(Utterance(name, f"slurp_{speaker}", found, text))
        else:
            missing.append(str(folder / file))
    if problems:
        raise DataError(*problems, f"download it again from {REPOSITORY}")
    return Found(utterances, missing)


def _speakers(path: Path) -> dict[str, str]:
    """Read the speaker of each file."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {
            file: recording["usrid"]
            for entry in entries.values()
            for file, recording in entry["recordings"].items()
        }
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise DataError(
            f"{path}: expected the recordings of each sentence with their usrid, found "
            f"{_shown(error)}; download it again from {REPOSITORY}"
        ) from error


def _recordings(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the name of each audio file, and its intent and transcript."""
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                sentence = json.loads(line)
                text, files = _text(sentence), [item["file"] for item in sentence["recordings"]]
            except (ValueError, LookupError, AttributeError, TypeError) as error:
                raise DataError(
                    f"{path}:{number}: expected a sentence with scenario, action and recordings, "
                    f"found {_shown(error)}; download the file again from {REPOSITORY}"
                ) from error
            yield from ((file, text) for file in files)


def _text(sentence: Mapping[str, Any]) -> str:
    words = sentence["sentence"].lower().replace("<unk>", "unknown").translate(_MARKS).split()
    return " ".join([f"{sentence['scenario']}_{sentence['action']}", *words])


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


SLURP = SpeechCorpus(
    title="SLURP",
    home=f"{REPOSITORY} (texts, CC BY 4.0) and {RECORD} (audio, CC BY-NC 4.0)",
    layout="dataset/slurp/*.jsonl, and audio/slurp_real and audio/slurp_synth, unpacked",
    # Recordings that devel.jsonl and test.jsonl of the repository list; not verified for train.
    parts={"train": None, SYNTHETIC: None, "devel": 8690, "test": 13078},
    sets={
        "train": ["train", SYNTHETIC],
        "train_real": ["train"],
        "devel": ["devel"],
        "test": ["test"],
    },
    default_sets=["train", "devel", "test"],
    find=find,
    speakers_apart=False,
)
