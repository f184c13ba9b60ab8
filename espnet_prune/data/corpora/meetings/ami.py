"""AMI (Carletta et al., 2005): one distant microphone, the first of the first array."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_prune.data.corpora.meetings.corpus import Corpus, Found, Size, Source, find_folder
from espnet_prune.data.corpora.meetings.recordings import first_channel
from espnet_prune.data.tables import DataError, shown

SETUP = "AMI-diarization-setup"
# Their Array1-01 was lost: the mirror does not have it, and DiariZen's lists leave them out.
WITHOUT_ARRAY = frozenset({"IS1003b", "IS1007d"})


def find(folders: Sequence[Path]) -> Found:
    """Find ``<meeting>.Array1-01.wav`` of the meetings that AMI-diarization-setup lists.

    That repository (of BUTSpeechFIT) has the Full-corpus-ASR partition of AMI in
    ``lists/<split>.meetings.txt``, turns of words in ``only_words/rttms/<split>/<meeting>.rttm``
    and regions in ``uems/<split>/<meeting>.uem``.
    The folders hold ``amicorpus/<meeting>/audio/`` and the repository, or are these.
    """
    lists = find_folder(folders, ["lists", f"{SETUP}/lists"])
    if lists is None:
        raise DataError(
            f"expected {SETUP} with its folder lists in {shown([str(f) for f in folders])}, found "
            f"none; run `git clone https://github.com/BUTSpeechFIT/{SETUP}` and name its folder"
        )
    splits = {
        split: [
            _source(folders, lists.parent, split, name)
            for name in (lists / f"{split}.meetings.txt").read_text().split()
            if name not in WITHOUT_ARRAY
        ]
        for split in AMI.splits
    }
    audio = "<meeting>/audio/<meeting>.Array1-01.wav"
    return Found(splits, []).having(audio, lambda source: source.audio)


def _source(folders: Sequence[Path], setup: Path, split: str, name: str) -> Source:
    places = [f"amicorpus/{name}/audio", f"{name}/audio"]
    folder = find_folder(folders, places) or folders[0] / places[0]
    return Source(
        name,
        folder / f"{name}.Array1-01.wav",
        setup / "only_words" / "rttms" / split / f"{name}.rttm",
        setup / "uems" / split / f"{name}.uem",
    )


AMI = Corpus(
    title="AMI",
    home="https://groups.inf.ed.ac.uk/ami/corpus (CC BY 4.0)",
    folders=f"one with amicorpus/<meeting>/audio, and {SETUP}",
    # Lengths by the setup's UEM files, train without the two lost recordings.
    splits={"train": Size(134, 79.65), "dev": Size(18, 9.67), "test": Size(16, 9.06)},
    channels=1,
    # ES2010d.Array1-01.wav is said to have two channels; all others have one.
    to_mono=first_channel,
    find=find,
)
