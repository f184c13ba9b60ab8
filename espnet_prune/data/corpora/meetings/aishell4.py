"""AISHELL-4 (Fu et al., 2021, arXiv 2104.03603): an array of eight microphones, averaged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_prune.data.corpora.meetings.corpus import Corpus, Found, Size, Source, find_archives
from espnet_prune.data.corpora.meetings.recordings import mean_of_channels

# The corpus has no dev set; these are the recordings of train that DiariZen's lists hold out.
DEV = frozenset({
    "20200616_M_R001S01C01", "20200620_M_R002S07C01", "20200620_M_R002S08C01",
    "20200622_M_R002S02C01", "20200623_S_R001S06C01", "20200701_S_R001S03C01",
    "20200702_S_R001S02C01", "20200704_M_R002S06C01", "20200706_L_R001S01C01",
    "20200708_L_R002S07C01", "20200709_L_R002S08C01", "20200710_M_R002S03C01",
    "20200710_M_R002S07C01", "20200712_M_R002S05C01", "20200715_M_R002S03C01",
    "20200715_M_R002S06C01", "20200805_S_R001S01C01", "20200805_S_R001S03C01",
})  # fmt: skip


def find(folders: Sequence[Path]) -> Found:
    """Find ``wav/<recording>.flac`` and ``TextGrid/<recording>.rttm`` of the unpacked archives.

    Beside each RTTM lies a TextGrid of the same turns with their words, which is not read: that
    of 20200622_M_R002S07C01 and 20200710_M_R002S06C01 is inconsistent.
    """
    archives = ("train_L", "train_M", "train_S", "test")
    parts, missing = find_archives(folders, {part: [part] for part in archives})
    splits: dict[str, list[Source]] = {split: [] for split in AISHELL4.splits}
    for part, folder in parts.items():
        for audio in sorted((folder / "wav").glob("*.flac")):
            name = audio.stem
            split = "test" if part == "test" else "dev" if name in DEV else "train"
            splits[split].append(Source(name, audio, folder / "TextGrid" / f"{name}.rttm"))
    return Found(splits, missing)


AISHELL4 = Corpus(
    title="AISHELL-4",
    home="https://www.openslr.org/111 (CC BY-SA 4.0)",
    folders="one with train_L, train_M, train_S and test, unpacked",
    # Lengths by the UEM files of DiariZen.
    splits={"train": Size(173, 97.22), "dev": Size(18, 10.31), "test": Size(20, 12.73)},
    channels=8,
    to_mono=mean_of_channels,
    find=find,
)
