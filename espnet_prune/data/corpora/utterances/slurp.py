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

from espnet_prune.data.corpora.utterances.corpus import SpeechCorpus, Utterance, built_as
from espnet_prune.data.tables import DataError, Problems

REPOSITORY = "https://github.com/pswietojanski/slurp"
RECORD = "https://zenodo.org/record/4274930"
SYNTHETIC = "train_synthetic"
_MARKS = str.maketrans({"@": " at ", "#": " hashtag ", ",": None, ".": None})


def find(folder: Path, part: str) -> Iterator[Utterance]:
    """List what ``dataset/slurp/<part>.jsonl`` does, in ``audio/slurp_{real,synth}``.

    A sentence has several recordings, mostly of a near and a far microphone. Real ones have their
    speakers in ``dataset/slurp/metadata.json``; the synthetic ones count as one.
    """
    table, *metadata = [folder / name for name in lists(part)]
    audio = folder / "audio" / ("slurp_real" if metadata else "slurp_synth")
    speakers = _speakers(metadata[0]) if metadata else {}
    problems = Problems()
    for file, text in _recordings(table):
        speaker = speakers.get(file) if metadata else "synthetic"
        if speaker is None:
            problems.append(f"{metadata[0]}: expected the speaker of {file}, found none")
            continue
        name = f"slurp_{speaker}_{Path(file).stem.removeprefix('audio-')}"
        yield Utterance(name, f"slurp_{speaker}", audio / file, text)
    if problems:
        raise DataError(*problems, f"download it again from {REPOSITORY}")


def lists(part: str) -> list[str]:
    """The sentences of a part and, of real speech, the speakers."""
    sentences = f"dataset/slurp/{part}.jsonl"
    return [sentences] if part == SYNTHETIC else [sentences, "dataset/slurp/metadata.json"]


def _speakers(path: Path) -> dict[str, str]:
    """Read the speaker of each file."""
    with built_as("the recordings of each sentence with their usrid", str(path), REPOSITORY):
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {
            file: recording["usrid"]
            for entry in entries.values()
            for file, recording in entry["recordings"].items()
        }


def _recordings(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the name of each audio file, and its intent and transcript."""
    expected = "a sentence with scenario, action and recordings"
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            with built_as(expected, f"{path}:{number}", REPOSITORY):
                sentence = json.loads(line)
                text, files = _text(sentence), [item["file"] for item in sentence["recordings"]]
            yield from ((file, text) for file in files)


def _text(sentence: Mapping[str, Any]) -> str:
    words = sentence["sentence"].lower().replace("<unk>", "unknown").translate(_MARKS).split()
    return " ".join([f"{sentence['scenario']}_{sentence['action']}", *words])


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
    lists=lists,
    find=find,
    speakers_apart=False,
)
