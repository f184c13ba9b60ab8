"""speechocean762 (Zhang et al., 2021, arXiv 2104.01378): English read by speakers of Mandarin."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from espnet_prune.data.corpora.utterances.corpus import Found, SpeechCorpus, Utterance, audio_files
from espnet_prune.data.tables import expect_fields, read_table
from espnet_prune.data.utterances import SPEAKER_TABLES, read_utterance_tables

DEV = "5"
"""Training speakers whose number ends so are left out of training: 12 of 125."""


def find(folder: Path, part: str) -> Found:
    """Find what ``{train,test}/{wav.scp,utt2spk,text}`` list; paths start at the corpus's folder.

    The part ``dev`` is the training speakers that ``DEV`` names. Audio may have any format.

    Raises:
        DataError: with every problem of the tables.
    """
    source = folder / ("test" if part == "test" else "train")
    needed = [source / name for name in ("wav.scp", "utt2spk", "text")]
    absent = [str(file) for file in needed if not file.is_file()]
    if absent:
        return Found((), absent)
    data = read_utterance_tables(source)
    assert data.texts is not None
    tables = {
        name: dict(read_table(source / name, _parse))
        for name in SPEAKER_TABLES
        if (source / name).is_file()
    }
    utterances: list[Utterance] = []
    missing: list[str] = []
    files_of = cache(audio_files)
    for name, speaker in data.speakers.items():
        if part != "test" and part != ("dev" if speaker.endswith(DEV) else "train"):
            continue
        path = folder / data.wavs[name]
        if audio := files_of(path.parent).get(path.stem):
            utterances.append(Utterance(name, speaker, audio, data.texts[name]))
        else:
            missing.append(str(path))
    return Found(utterances, missing, tables)


def _parse(fields: list[str]) -> tuple[str, str]:
    expect_fields(fields, "<speaker> <value>")
    return fields[0], fields[1]


SPEECHOCEAN762 = SpeechCorpus(
    title="speechocean762",
    home="https://www.openslr.org/101 (CC BY 4.0)",
    layout="train/, test/ and WAVE/, as the archive has them in speechocean762/",
    # 20 utterances of each of 125 + 125 speakers.
    parts={"train": 2260, "dev": 240, "test": 2500},
    sets={
        "train": ["train"],
        "dev": ["dev"],
        "test": ["test"],
        "train_dev": ["train", "dev"],
    },
    default_sets=["train", "dev", "test"],
    find=find,
)
