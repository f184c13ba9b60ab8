"""The generated commands in the layout of Fluent Speech Commands (Lugosch et al., 2019).

s3prl's downstream `fluent_commands` reads that: `data/{train,valid,test}_data.csv` with a path
below the same folder and the three slots of an intent, action, object and location.
"""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from spoken_commands import ROOMS

from espnet_prune.speech import UtteranceDir, read_utterance_dir
from espnet_prune.ssl.files import atomic_write

COLUMNS = ("", "path", "speakerId", "transcription", "action", "object", "location")
_SETS = {"train": "train", "dev": "valid", "test": "test"}


def write_fluent_layout(data_dir: Path, output: Path) -> None:
    """Writes `output/data/*.csv` and `output/wavs/speakers/<speaker>/` of links to the audio.

    Args:
        data_dir: holds train, dev and test, as generate_commands.py writes them.
        output: where to write; a repeated call writes the same.

    Raises:
        DataError: a data directory is incomplete.
    """
    for set_name, fluent_name in _SETS.items():
        data = read_utterance_dir(data_dir / set_name)
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, name in enumerate(data.wavs):
            path = _link(data, name, output)
            writer.writerow([number, path, data.speakers[name], *_slots(data.texts[name])])
        atomic_write(output / "data" / f"{fluent_name}_data.csv", lines.getvalue())


def _slots(text: str) -> tuple[str, str, str, str]:
    """Returns transcript, action, object and location of an intent and its command."""
    intent, _, command = text.partition(" ")
    thing, _, action = intent.partition("_")
    rooms = [word for word in command.split() if word in ROOMS]
    return command, action, thing, rooms[0] if rooms else "none"


def _link(data: UtteranceDir, name: str, output: Path) -> str:
    """Links the audio of an utterance and returns its path below `output`."""
    source = Path(data.wavs[name])
    path = f"wavs/speakers/{data.speakers[name]}/{name}{source.suffix}"
    target = output / path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    partial.unlink(missing_ok=True)
    partial.symlink_to(source.absolute())
    os.replace(partial, target)
    return path
