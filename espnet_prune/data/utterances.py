"""Utterances: Kaldi-style data directories of them, and plain lists of audio files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from espnet_prune.data.audio import parse_wav
from espnet_prune.data.tables import (
    DataError,
    Problems,
    Tables,
    check_interval,
    expect_fields,
    parse_seconds,
    read_bytes,
    to_text,
)
from espnet_prune.storage.files import replace_files

T = TypeVar("T")

SPEAKER_TABLES = ("spk2gender", "spk2age")
FILES = ("wav.scp", "utt2spk", "spk2utt", "text", "utt2num_samples", *SPEAKER_TABLES)


@dataclass(frozen=True)
class Segment:
    """An utterance in a recording: 0 <= start < end, in seconds; None is the recording's end."""

    id: str
    recording: str
    start: float
    end: float | None

    def __post_init__(self) -> None:
        check_interval(self.start, self.start + 1 if self.end is None else self.end)


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
    """Read a data directory; its audio has to be there and is not opened."""
    data = read_utterance_tables(path)
    Problems(
        f"{Path(path, 'wav.scp')}: expected the audio of {key}, found no file {wav}; correct the "
        "path, which starts at the working directory"
        for key, wav in data.wavs.items()
        if not os.path.isfile(wav)
    ).raise_any()
    return data


def read_utterance_tables(path: str | Path) -> UtteranceDir:
    """Read the tables of a data directory, whose audio may be elsewhere.

    ``wav.scp`` and ``utt2spk`` are required; ``segments`` and ``text`` are read and ``spk2utt`` is
    checked where they are. Keys have to be unique, sorted by bytes, the same in every table.
    """
    tables = _Tables(path)
    wavs = tables.read("wav.scp", parse_wav, 2)
    speakers = tables.read("utt2spk", _parse_speaker)
    texts = tables.read("text", _parse_text, 2) if tables.has("text") else None
    segments = tables.read("segments", _parse_segment) if tables.has("segments") else None
    utterances: Mapping[str, object] = wavs if segments is None else segments
    tables.require_same_keys("utt2spk", speakers, utterances)
    if texts is not None:
        tables.require_same_keys("text", texts, utterances)
    for key, segment in (segments or {}).items():
        tables.require_recording(f"segments: {key}", segment.recording, wavs)
    if tables.has("spk2utt"):
        tables.require_inverse(tables.read("spk2utt", _parse_utterances), speakers)
    tables.problems.raise_any()
    return UtteranceDir(wavs, speakers, texts, segments)


def read_audio_list(path: str | Path) -> UtteranceDir:
    """Read a text file that names an audio file in each line.

    Blank lines and lines that start with ``#`` are skipped. Relative paths start at the working
    directory. An utterance is named by its path below the folder that all files share, with
    dashes for slashes and underscores for blanks, and is its own speaker.
    """
    lines = [line.strip() for line in os.fsdecode(read_bytes(path)).splitlines()]
    wavs = [os.path.abspath(line) for line in lines if line and not line.startswith("#")]
    if not wavs:
        raise DataError(f"{path}: expected a path in each line, found none; add some")
    problems = Problems(
        f"{path}: expected an audio file, found none at {wav}; correct the path"
        for wav in wavs
        if not os.path.isfile(wav)
    )
    shared = os.path.commonpath([os.path.dirname(wav) for wav in wavs])
    named: dict[str, str] = {}
    for wav in wavs:
        name = "_".join(os.path.splitext(os.path.relpath(wav, shared))[0].split())
        other = named.setdefault(name.replace(os.sep, "-"), wav)
        if other is not wav:
            problems.append(
                f"{path}: expected files of different names, found {other} and {wav}; "
                "rename or remove one"
            )
    problems.raise_any()
    return UtteranceDir(named, {name: name for name in named})


def write_utterance_dir(
    data: UtteranceDir, folder: str | Path, num_samples: Mapping[str, int] | None = None
) -> None:
    """Write the tables, sorted, with absolute paths of audio; audio is not copied.

    All files are complete before the first replaces an earlier one; tables of an earlier call that
    this one does not write are removed. Every file is an utterance; ``num_samples`` are written as
    ``utt2num_samples``, a shape file of ESPnet.
    """
    utterances: dict[str, list[str]] = {}
    for key in sorted(data.wavs):
        utterances.setdefault(data.speakers[key], []).append(key)
    tables: dict[str, Mapping[str, object] | None] = {
        **data.speaker_tables,
        "wav.scp": {key: os.path.abspath(wav) for key, wav in data.wavs.items()},
        "utt2spk": data.speakers,
        "spk2utt": {speaker: " ".join(own) for speaker, own in utterances.items()},
        "text": data.texts,
        "utt2num_samples": num_samples,
    }
    files: dict[str, str | None] = dict.fromkeys(FILES)
    for name, table in tables.items():
        if table is not None:
            files[name] = to_text(f"{key} {table[key]}" for key in sorted(table))
    replace_files(folder, files)


class _Tables(Tables):
    """Tables of unique and sorted keys."""

    def read(
        self,
        name: str,
        parse: Callable[[list[str]], tuple[str, T]],
        max_fields: int | None = None,
    ) -> dict[str, T]:
        """Read a table of unique and sorted keys."""
        problems = len(self.problems)
        rows = self.rows(name, parse, max_fields)
        if not rows and len(self.problems) == problems:
            self.tell(f"{name}: expected at least one line, found none; add one")
        keys = [(line, key) for line, (key, _) in rows]
        self.require_unique(name, "keys", keys)
        for (_, before), (line, key) in pairwise(keys):
            if key.encode() < before.encode():
                path = self.folder / name
                self.tell(
                    f"{name}:{line}: expected lines sorted by bytes, found {key} after {before}; "
                    f"run `LC_ALL=C sort -o {path} {path}`"
                )
                break
        return dict(row for _, row in rows)

    def require_same_keys(
        self, name: str, table: Mapping[str, object], wavs: Mapping[str, object]
    ) -> None:
        if not (table and wavs):
            return
        if not table.keys() & wavs.keys():
            self.tell(
                f"{name}: expected utterances of the audio, as {min(wavs)}, found none of "
                f"{len(wavs)} but others, as {min(table)}; take the table of this corpus"
            )
            return
        for key in sorted(wavs.keys() ^ table.keys()):
            found = f"utterances of the audio, found {key}"
            if key in wavs:
                found = f"every utterance of the audio, found none of {key}"
            self.tell(f"{name}: expected {found}; add it where it lacks, or remove it")

    def require_inverse(
        self, utterances: Mapping[str, Sequence[str]], speakers: Mapping[str, str]
    ) -> None:
        listed = {(key, speaker) for speaker, keys in utterances.items() for key in keys}
        for key, speaker in sorted(listed ^ set(speakers.items())):
            self.tell(
                f"spk2utt: expected the inverse of utt2spk, found {key} of {speaker} in one of "
                "them alone; write spk2utt again"
            )


def parse_segment(fields: list[str]) -> Segment:
    """Make a segment of the fields of a line; its channel says nothing about mono recordings."""
    if len(fields) not in (4, 5):
        raise ValueError(
            f"expected 4 or 5 fields, found {len(fields)}; write the line as "
            "`<utterance> <recording> <start> <end> [<channel>]`"
        )
    start, end = parse_seconds(fields[2], "start"), parse_seconds(fields[3], "end")
    # Kaldi writes the recording's end as -1.
    return Segment(fields[0], fields[1], start, None if end == -1 else end)


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
