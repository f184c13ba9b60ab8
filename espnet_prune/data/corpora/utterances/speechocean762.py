"""speechocean762 (Zhang et al., 2021, arXiv 2104.01378): English read by speakers of Mandarin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from espnet_prune.data.corpora.utterances.corpus import SpeechCorpus, Utterance
from espnet_prune.data.tables import expect_fields, read_table
from espnet_prune.data.utterances import SPEAKER_TABLES, read_utterance_tables

# Training speakers whose number ends so are left out of training: 12 of 125.
DEV = "5"


def find(folder: Path, part: str) -> Iterator[Utterance]:
    """List what ``{train,test}/{wav.scp,utt2spk,text}`` do; paths start at the corpus's folder.

    The part ``dev`` is the training speakers that ``DEV`` names.
    """
    source = folder / _place(part)
    data = read_utterance_tables(source)
    assert data.texts is not None
    tables = {
        name: dict(read_table(source / name, _parse))
        for name in SPEAKER_TABLES
        if (source / name).is_file()
    }
    for name, speaker in data.speakers.items():
        if part in ("test", "dev" if speaker.endswith(DEV) else "train"):
            about = {key: table[speaker] for key, table in tables.items() if speaker in table}
            yield Utterance(name, speaker, folder / data.wavs[name], data.texts[name], about)


def _place(part: str) -> str:
    return "test" if part == "test" else "train"


def _parse(fields: list[str]) -> tuple[str, str]:
    expect_fields(fields, "<speaker> <value>")
    return fields[0], fields[1]


SPEECHOCEAN762 = SpeechCorpus(
    title="speechocean762",
    home="https://www.openslr.org/101 (CC BY 4.0)",
    layout="train/, test/ and WAVE/, as the archive has them in speechocean762/",
    # 20 utterances of each of 125 + 125 speakers.
    parts={"train": 2260, "dev": 240, "test": 2500},
    sets={"train": ["train"], "dev": ["dev"], "test": ["test"], "train_dev": ["train", "dev"]},
    default_sets=["train", "dev", "test"],
    lists=lambda part: [f"{_place(part)}/{table}" for table in ("wav.scp", "utt2spk", "text")],
    find=find,
)
