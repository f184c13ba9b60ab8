"""AliMeeting (Yu et al., 2022, arXiv 2110.07393): the first microphone of the far-field array."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_prune.data.corpora.meetings.corpus import Corpus, Found, Size, Source, find_folder
from espnet_prune.data.corpora.meetings.recordings import first_channel
from espnet_prune.data.corpora.meetings.textgrid import read_textgrid
from espnet_prune.data.rttm import Turn

# Eval and Test come in an archive with the near-field recordings.
PLACES = {
    "train": ["Train_Ali_far"],
    "dev": ["Eval_Ali/Eval_Ali_far", "Eval_Ali_far"],
    "test": ["Test_Ali/Test_Ali_far", "Test_Ali_far"],
}


def find(folders: Sequence[Path]) -> Found:
    """Find ``audio_dir/<meeting>_MS<microphone>.wav`` and ``textgrid_dir/<meeting>.TextGrid``.

    The recording id is that of the audio file, such as R8001_M8004_MS801.

    Args:
        folders: those that hold ``Train_Ali_far``, ``Eval_Ali`` and ``Test_Ali``.
    """
    splits: dict[str, list[Source]] = {split: [] for split in PLACES}
    missing: list[str] = []
    for split, places in PLACES.items():
        folder = find_folder(folders, places)
        if folder is None:
            missing.append(
                f"{split}: expected the folder {places[0]}, found none; "
                f"unpack {places[0].split('/')[0]}.tar.gz"
            )
            continue
        for audio in sorted((folder / "audio_dir").glob("*.wav")):
            meeting = audio.stem.rpartition("_MS")[0] or audio.stem
            textgrid = folder / "textgrid_dir" / f"{meeting}.TextGrid"
            splits[split].append(Source(audio.stem, audio, textgrid))
    return Found(splits, missing)


def read_turns(source: Source) -> list[Turn]:
    """Read the turns of a recording; its TextGrid has a tier for each speaker, as ``N_SPK8013``.

    Raises:
        DataError: for a file that is malformed, truncated or without turns.
    """
    return read_textgrid(source.annotation, source.name)


ALIMEETING = Corpus(
    title="AliMeeting",
    home="https://www.openslr.org/119 (CC BY-SA 4.0)",
    folders="one with Train_Ali_far, Eval_Ali and Test_Ali, unpacked",
    # Of DiariZen's lists and UEM files. The corpus paper counts 212 training sessions and hours of
    # annotation; the archive has 209 recordings.
    splits={"train": Size(209, 111.36), "dev": Size(8, 4.21), "test": Size(20, 10.78)},
    channels=8,
    to_mono=first_channel,
    find=find,
    read_turns=read_turns,
)
