"""LibriSpeech (Panayotov et al., 2015): read English books, 960 hours for training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from espnet_prune.data.corpora.utterances.corpus import SpeechCorpus, Utterance, audio_files
from espnet_prune.data.tables import Problems, scan_table

# Numbers of utterances: those of train add up to the 281 241 of train_960 that ESPnet's table of
# corpora has, all of them to the 292 367 of the Montreal Forced Aligner's.
PARTS = {
    "train-clean-100": 28539,
    "train-clean-360": 104014,
    "train-other-500": 148688,
    "dev-clean": 2703,
    "dev-other": 2864,
    "test-clean": 2620,
    "test-other": 2939,
}


def find(folder: Path, part: str) -> Iterator[Utterance]:
    """List ``<part>/<speaker>/<chapter>/<speaker>-<chapter>-<number>.flac`` and their transcripts.

    A chapter's transcripts are the lines of ``<speaker>-<chapter>.trans.txt``, in upper case.
    """
    problems = Problems()
    for chapter in sorted((folder / part).glob("*/*/")):
        prefix = f"{chapter.parent.name}-{chapter.name}"
        transcripts = chapter / f"{prefix}.trans.txt"
        rows, malformed = scan_table(transcripts, _parse, 2) if transcripts.is_file() else ([], [])
        problems += malformed
        texts = dict(row for _, row in rows)
        files = {name for name in audio_files(chapter) if name.startswith(prefix)}
        for name in sorted(files | texts.keys()):
            audio = chapter / f"{name}.flac"
            yield Utterance(name, chapter.parent.name, audio, texts.get(name))
    problems.raise_any()


def _parse(fields: list[str]) -> tuple[str, str]:
    if len(fields) != 2 or fields[0].count("-") != 2:
        raise ValueError(
            f"expected <speaker>-<chapter>-<number> and a transcript, found {' '.join(fields)!r}; "
            "unpack the archive again"
        )
    return fields[0], fields[1]


LIBRISPEECH = SpeechCorpus(
    title="LibriSpeech",
    home="https://www.openslr.org/12 (CC BY 4.0)",
    layout="train-clean-100, dev-clean and so on, as the archives have them in LibriSpeech/",
    parts=PARTS,
    sets={
        **{part.replace("-", "_"): [part] for part in PARTS},
        "train_100": ["train-clean-100"],
        "train_960": ["train-clean-100", "train-clean-360", "train-other-500"],
        "dev": ["dev-clean", "dev-other"],
    },
    default_sets=[
        "train_clean_100", "dev", "dev_clean", "dev_other", "test_clean", "test_other"
    ],
    lists=lambda part: [part],
    find=find,
)  # fmt: skip
