#!/usr/bin/env python3
"""Lays the spoken orders of a recipe out as Fluent Speech Commands, which s3prl reads.

s3prl's downstream ``fluent_commands`` wants ``data/{train,valid,test}_data.csv`` with a path below
the same folder and the three slots of an intent, action, object and location.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.data import UtteranceDir, read_utterance_dir
from espnet_prune.storage.files import atomic_write

COLUMNS = ("", "path", "speakerId", "transcription", "action", "object", "location")
_SETS = {"train": "train", "dev": "valid", "test": "test"}


def get_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path, help="data/ of mini_speech/slu_prune1")
    parser.add_argument("output", type=Path, help="folder for data/*.csv and links to the audio")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Writes ``output/data/*.csv`` and ``output/wavs/``; a repeated call writes the same."""
    args = get_parser().parse_args(cmd)
    for set_name, fluent_name in _SETS.items():
        data = read_utterance_dir(args.data_dir / set_name)
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, (name, text) in enumerate(data.texts.items()):
            intent, _, words = text.partition(" ")
            action, _, thing = intent.partition("_")
            path = _link(data, name, args.output)
            writer.writerow([number, path, data.speakers[name], words, action, thing, "none"])
        atomic_write(args.output / "data" / f"{fluent_name}_data.csv", lines.getvalue())


def _link(data: UtteranceDir, name: str, output: Path) -> str:
    """Links the audio of an utterance and returns its path below ``output``."""
    source = Path(data.wavs[name])
    path = f"wavs/speakers/{data.speakers[name]}/{name}{source.suffix}"
    target = output / path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    partial.unlink(missing_ok=True)
    partial.symlink_to(source.absolute())
    os.replace(partial, target)
    return path


if __name__ == "__main__":
    main()
