"""Kaldi-style data directories of utterances: `wav.scp`, `utt2spk`, `spk2utt` and `text`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from espnet_prune.diarization.audio import parse_wav
from espnet_prune.diarization.tables import DataError, expect_fields, scan_table, write_lines

T = TypeVar("T")

FILES = ("wav.scp", "utt2spk", "spk2utt", "text", "utt2num_samples")


@dataclass(frozen=True)
class UtteranceDir:
    """The tables of a data directory, in which every audio file is one utterance.

    Attributes:
        wavs: Path of the audio file of each utterance.
        speakers: Speaker of each utterance.
        texts: What each utterance says, for spoken language understanding after its intent; None
            where only the audio is known.
    """

    wavs: Mapping[str, str]
    speakers: Mapping[str, str]
    texts: Mapping[str, str] | None = None


def read_utterance_dir(path: str | Path) -> UtteranceDir:
    """Read a data directory; its audio has to be there and is not opened.

    `wav.scp` and `utt2spk` are required; `text` is read and `spk2utt` checked where they are.

    Raises:
        DataError: With every problem: missing files, malformed lines, keys that are not unique,
            not sorted by bytes or not the same in every table, audio that does not exist.
    """
    tables = _Tables(Path(path))
    wavs = tables.read("wav.scp", parse_wav, 2)
    speakers = tables.read("utt2spk", _parse_speaker)
    texts = tables.read("text", _parse_text, 2) if tables.has("text") else None
    tables.require_same_keys("utt2spk", speakers, wavs)
    if texts is not None:
        tables.require_same_keys("text", texts, wavs)
    if tables.has("spk2utt"):
        tables.require_inverse(tables.read("spk2utt", _parse_utterances), speakers)
    tables.require_audio(wavs)
    if tables.problems:
        raise DataError(*tables.problems)
    return UtteranceDir(wavs, speakers, texts)


def write_utterance_dir(
    data: UtteranceDir, folder: str | Path, num_samples: Mapping[str, int] | None = None
) -> None:
    """Write the tables, sorted, with absolute paths of audio; audio is not copied.

    All files are complete before the first replaces an earlier one; tables of an earlier call that
    this one does not write are removed.

    Args:
        data: What to write.
        folder: Where to; created if need be.
        num_samples: Length of each utterance in samples, for `utt2num_samples` (a shape file of
            ESPnet).
    """
    folder = Path(folder)
    utterances: dict[str, list[str]] = {}
    for key in sorted(data.wavs):
        utterances.setdefault(data.speakers[key], []).append(key)
    tables: dict[str, Mapping[str, object]] = {
        "wav.scp": {key: os.path.abspath(wav) for key, wav in data.wavs.items()},
        "utt2spk": data.speakers,
        "spk2utt": {speaker: " ".join(own) for speaker, own in utterances.items()},
    }
    if data.texts is not None:
        tables["text"] = data.texts
    if num_samples is not None:
        tables["utt2num_samples"] = num_samples
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        for name, table in tables.items():
            write_lines(Path(temporary, name), [f"{key} {table[key]}" for key in sorted(table)])
        for name in FILES:
            if name in tables:
                os.replace(Path(temporary, name), folder / name)
            else:
                (folder / name).unlink(missing_ok=True)


class _Tables:
    """Reads tables of a directory; `problems` collects what is wrong in and between them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        if self.has("segments"):
            self.problems.append(
                f"{path / 'segments'}: expected an audio file of each utterance, found parts of "
                "recordings; cut them into files of their own"
            )

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def read(
        self,
        name: str,
        parse: Callable[[list[str]], tuple[str, T]],
        max_fields: int | None = None,
    ) -> dict[str, T]:
        """Read a table of unique and sorted keys."""
        path = self.path / name
        if not self.has(name):
            self.problems.append(
                f"{path}: expected this file in a data directory, found none; create it"
            )
            return {}
        rows, problems = scan_table(path, parse, max_fields)
        self.problems += problems
        if not rows and not problems:
            self.problems.append(f"{path}: expected at least one line, found none; add one")
        self._require_order(name, [(line, key) for line, (key, _) in rows])
        return dict(row for _, row in rows)

    def require_same_keys(
        self, name: str, table: Mapping[str, object], wavs: Mapping[str, str]
    ) -> None:
        for key in sorted(wavs.keys() - table.keys()) if table else ():
            self.problems.append(
                f"{self.path / name}: expected every utterance of wav.scp, found none of {key}; "
                "add it or remove it there"
            )
        for key in sorted(table.keys() - wavs.keys()) if wavs else ():
            self.problems.append(
                f"{self.path / name}: expected utterances of wav.scp, found {key}; "
                "remove it or add it there"
            )

    def require_inverse(
        self, utterances: Mapping[str, Sequence[str]], speakers: Mapping[str, str]
    ) -> None:
        listed = {(key, speaker) for speaker, keys in utterances.items() for key in keys}
        for key, speaker in sorted(listed ^ set(speakers.items())):
            self.problems.append(
                f"{self.path / 'spk2utt'}: expected the inverse of utt2spk, found {key} of "
                f"{speaker} in one of them alone; write spk2utt again"
            )

    def require_audio(self, wavs: Mapping[str, str]) -> None:
        for key, wav in wavs.items():
            if not os.path.isfile(wav):
                self.problems.append(
                    f"{self.path / 'wav.scp'}: expected the audio of {key}, found no file {wav}; "
                    "correct the path, which starts at the working directory"
                )

    def _require_order(self, name: str, keys: Sequence[tuple[int, str]]) -> None:
        first_lines: dict[str, int] = {}
        for line, key in keys:
            first = first_lines.setdefault(key, line)
            if first != line:
                self.problems.append(
                    f"{self.path / name}:{line}: expected unique keys, found {key} already in "
                    f"line {first}; rename or remove one"
                )
        for (_, before), (line, key) in pairwise(keys):
            if key.encode() < before.encode():
                self.problems.append(
                    f"{self.path / name}:{line}: expected lines sorted by bytes, found {key} after "
                    f"{before}; run `LC_ALL=C sort -o {self.path / name} {self.path / name}`"
                )
                return


def _parse_speaker(fields: list[str]) -> tuple[str, str]:
    expect_fields(fields, "<utterance> <speaker>")
    return fields[0], fields[1]


def _parse_text(fields: list[str]) -> tuple[str, str]:
    if len(fields) == 1:
        raise ValueError(f"expected words after {fields[0]}, found none; write or remove the line")
    return fields[0], fields[1]


def _parse_utterances(fields: list[str]) -> tuple[str, list[str]]:
    return fields[0], fields[1:]
