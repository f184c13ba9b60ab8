"""Kaldi-style data directories of utterances: ``wav.scp``, ``segments``, ``utt2spk``, ``text``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from espnet_prune.data.audio import parse_wav
from espnet_prune.data.segments import Segment, parse_segment
from espnet_prune.data.tables import DataError, expect_fields, scan_table, to_text
from espnet_prune.storage.files import replace_files

T = TypeVar("T")

SPEAKER_TABLES = ("spk2gender", "spk2age")
FILES = ("wav.scp", "utt2spk", "spk2utt", "text", "utt2num_samples", *SPEAKER_TABLES)


@dataclass(frozen=True)
class UtteranceDir:
    """The tables of a data directory.

    Attributes:
        wavs: path of the audio file of each utterance, or of each recording of the ``segments``.
        speakers: speaker of each utterance.
        texts: what each utterance says, for spoken language understanding after its intent; None
            where only the audio is known.
        segments: where each utterance lies in its recording; None where every file is one.
        speaker_tables: more of the speakers, by name of the table, one of ``SPEAKER_TABLES``; they
            are written and not read.
    """

    wavs: Mapping[str, str]
    speakers: Mapping[str, str]
    texts: Mapping[str, str] | None = None
    segments: Mapping[str, Segment] | None = None
    speaker_tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read_utterance_dir(path: str | Path) -> UtteranceDir:
    """Read a data directory; its audio has to be there and is not opened.

    Raises:
        DataError: with every problem that ``read_utterance_tables`` finds; or else with all audio
            that does not exist.
    """
    data = read_utterance_tables(path)
    problems = [
        f"{Path(path, 'wav.scp')}: expected the audio of {key}, found no file {wav}; correct the "
        "path, which starts at the working directory"
        for key, wav in data.wavs.items()
        if not os.path.isfile(wav)
    ]
    if problems:
        raise DataError(*problems)
    return data


def read_utterance_tables(path: str | Path) -> UtteranceDir:
    """Read the tables of a data directory, whose audio may be elsewhere.

    ``wav.scp`` and ``utt2spk`` are required; ``segments`` and ``text`` are read and ``spk2utt`` is
    checked where they are.

    Raises:
        DataError: with every problem: missing files, malformed lines, keys that are not unique,
            not sorted by bytes or not the same in every table.
    """
    tables = _Tables(Path(path))
    wavs = tables.read("wav.scp", parse_wav, 2)
    speakers = tables.read("utt2spk", _parse_speaker)
    texts = tables.read("text", _parse_text, 2) if tables.has("text") else None
    segments = tables.read("segments", _parse_segment) if tables.has("segments") else None
    utterances: Mapping[str, object] = wavs if segments is None else segments
    tables.require_same_keys("utt2spk", speakers, utterances)
    if texts is not None:
        tables.require_same_keys("text", texts, utterances)
    tables.require_recordings(segments or {}, wavs)
    if tables.has("spk2utt"):
        tables.require_inverse(tables.read("spk2utt", _parse_utterances), speakers)
    if tables.problems:
        raise DataError(*tables.problems)
    return UtteranceDir(wavs, speakers, texts, segments)


def write_utterance_dir(
    data: UtteranceDir, folder: str | Path, num_samples: Mapping[str, int] | None = None
) -> None:
    """Write the tables, sorted, with absolute paths of audio; audio is not copied.

    All files are complete before the first replaces an earlier one; tables of an earlier call that
    this one does not write are removed.

    Args:
        data: what to write, every file an utterance.
        folder: where to; created if need be.
        num_samples: length of each utterance in samples, for ``utt2num_samples`` (a shape file of
            ESPnet).
    """
    folder = Path(folder)
    utterances: dict[str, list[str]] = {}
    for key in sorted(data.wavs):
        utterances.setdefault(data.speakers[key], []).append(key)
    tables: dict[str, Mapping[str, object]] = {
        **data.speaker_tables,
        "wav.scp": {key: os.path.abspath(wav) for key, wav in data.wavs.items()},
        "utt2spk": data.speakers,
        "spk2utt": {speaker: " ".join(own) for speaker, own in utterances.items()},
    }
    if data.texts is not None:
        tables["text"] = data.texts
    if num_samples is not None:
        tables["utt2num_samples"] = num_samples
    lines = {n: [f"{key} {table[key]}" for key in sorted(table)] for n, table in tables.items()}
    replace_files(folder, {n: to_text(lines[n]) if n in lines else None for n in FILES})


class _Tables:
    """Reads tables of a directory; ``problems`` collects what is wrong in and between them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []

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
        self, name: str, table: Mapping[str, object], wavs: Mapping[str, object]
    ) -> None:
        if table and wavs and not table.keys() & wavs.keys():
            self.problems.append(
                f"{self.path / name}: expected utterances of the audio, as {min(wavs)}, found "
                f"none of {len(wavs)} but others, as {min(table)}; take the table of this corpus"
            )
            return
        for key in sorted(wavs.keys() - table.keys()) if table else ():
            self.problems.append(
                f"{self.path / name}: expected every utterance of the audio, found none of {key}; "
                "add it or remove it there"
            )
        for key in sorted(table.keys() - wavs.keys()) if wavs else ():
            self.problems.append(
                f"{self.path / name}: expected utterances of the audio, found {key}; "
                "remove it or add it there"
            )

    def require_recordings(self, segments: Mapping[str, Segment], wavs: Mapping[str, str]) -> None:
        for segment in segments.values():
            if segment.recording not in wavs:
                self.problems.append(
                    f"{self.path / 'segments'}: expected recordings of wav.scp, found "
                    f"{segment.recording} of {segment.id}; add it there or remove the line"
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


def _parse_segment(fields: list[str]) -> tuple[str, Segment]:
    segment = parse_segment(fields)
    return segment.id, segment


def _parse_text(fields: list[str]) -> tuple[str, str]:
    if len(fields) == 1:
        raise ValueError(f"expected words after {fields[0]}, found none; write or remove the line")
    return fields[0], fields[1]


def _parse_utterances(fields: list[str]) -> tuple[str, list[str]]:
    return fields[0], fields[1:]
