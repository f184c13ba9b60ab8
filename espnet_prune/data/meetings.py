"""Kaldi-style data directories of diarization corpora: reading, thorough checking, formatting."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from espnet_prune.data.audio import SAMPLE_RATE, blocks, open_audio, parse_wav
from espnet_prune.data.rttm import Turn, parse_turn, rttm_lines, to_annotation
from espnet_prune.data.tables import (
    NIST_COMMENTS,
    Problems,
    Tables,
    expect_fields,
    shown,
    to_text,
)
from espnet_prune.data.uem import Region, parse_region, uem_lines
from espnet_prune.data.utterances import Segment, parse_segment
from espnet_prune.progress import progress
from espnet_prune.storage.files import replace_files

END_TOLERANCE = 0.1  # seconds that a turn or region may outlast its recording

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataDir:
    """A data directory: audio file, speaker turns and scored regions of each recording.

    A silent recording has no turns; ``uem`` is None where the directory has none.
    """

    path: Path
    wavs: Mapping[str, str]
    turns: Mapping[str, Sequence[Turn]]
    uem: Mapping[str, Sequence[Region]] | None


class Statistics(NamedTuple):
    """Size of a corpus, the share of speech in it and that of overlap in the speech."""

    recordings: int
    hours: float
    speakers: int
    speech_ratio: float
    overlap_ratio: float


class _Tables(Tables):
    """The tables with their line numbers, checked by themselves and against each other."""

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder)
        self.wavs = self.rows("wav.scp", parse_wav, 2)
        self.turns = self.rows("rttm", parse_turn, comments=NIST_COMMENTS)
        self.regions = self.rows("uem", parse_region, comments=NIST_COMMENTS, required=False)
        self.segments = self.rows("segments", parse_segment, required=False)
        if self.has("wav.scp") and not self.wavs:
            self.tell("wav.scp: expected at least one recording, found none; add one")
        self.require_unique("wav.scp", "ids", ((line, repr(wav[0])) for line, wav in self.wavs))
        self.require_unique("segments", "ids", ((line, repr(s.id)) for line, s in self.segments))
        known = dict(wav for _, wav in self.wavs)
        for place, row in self.timed():
            self.require_recording(place, row.recording, known)
        self._check_regions()

    def timed(self) -> Iterator[tuple[str, Turn | Region | Segment]]:
        """Yield every row that refers to a recording, with its place."""
        yield from ((f"rttm:{line}", turn) for line, turn in self.turns)
        yield from ((f"uem:{line}", region) for line, region in self.regions)
        yield from ((f"segments:{line}", segment) for line, segment in self.segments)

    def data_dir(self) -> DataDir:
        """Group the rows by recording."""
        self.problems.raise_any()
        wavs = dict(wav for _, wav in self.wavs)
        turns: dict[str, list[Turn]] = {recording: [] for recording in wavs}
        for _, turn in self.turns:
            turns[turn.recording].append(turn)
        uem: dict[str, list[Region]] = {}
        for _, region in self.regions:
            uem.setdefault(region.recording, []).append(region)
        return DataDir(self.folder, wavs, turns, uem if self.has("uem") else None)

    def _check_regions(self) -> None:
        rows = sorted(self.regions, key=lambda row: (row[1].recording, row[1].start))
        for (before_line, before), (line, region) in pairwise(rows):
            if before.recording == region.recording and region.start < before.end:
                self.tell(
                    f"uem:{line}: expected regions that do not overlap, found {region.start:g} s "
                    f"before the end of the region of line {before_line}; merge them"
                )


def read_data_dir(path: str | Path) -> DataDir:
    """Read the tables of a data directory, or tell every problem; audio is not opened."""
    return _Tables(path).data_dir()


def read_speaker_counts(path: str | Path) -> dict[str, int]:
    """Read how many speakers each recording of Kaldi's ``reco2num_spk`` has, or tell problems."""
    tables = Tables(Path(path).parent)
    rows = tables.rows(Path(path).name, _parse_count)
    tables.require_unique(Path(path).name, "recordings", ((line, row[0]) for line, row in rows))
    tables.problems.raise_any()
    return dict(row for _, row in rows)


def _parse_count(fields: list[str]) -> tuple[str, int]:
    expect_fields(fields, "<recording> <number>")
    recording, number = fields
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 10**6):
        raise ValueError(
            f"expected a number of speakers, 1 or more, found {number!r}; correct the line"
        )
    return recording, int(number)


def check_data_dir(path: str | Path) -> Statistics:
    """Check the tables and every sample of the audio of a data directory, tell every problem."""
    tables = _Tables(path)
    durations: dict[str, float] = {}
    for line, (recording, wav) in progress(tables.wavs, "check audio"):
        with tables.problems.collect(f"{tables.folder / 'wav.scp'}:{line}: "):
            with open_audio(wav) as audio:
                decoded = sum(len(block) for block in blocks(audio, wav))
            durations[recording] = decoded / SAMPLE_RATE
    for place, row in tables.timed():
        duration = durations.get(row.recording)
        if duration is not None and row.end is not None and row.end > duration + END_TOLERANCE:
            tables.tell(
                f"{place}: expected an end within the {duration:.3f} s of {row.recording}, found "
                f"{row.end:.3f} s; shorten or remove the line"
            )
    data = tables.data_dir()
    _warn(data)
    return _statistics(data, durations)


def scored_regions(data: DataDir) -> dict[str, list[Region]]:
    """List the regions of each recording that its ``uem`` scores, or else the entire recording.

    Regions are cut at the end of the audio, and refused beyond it.
    """
    problems = Problems()
    regions: dict[str, list[Region]] = {}
    for recording, wav in data.wavs.items():
        with open_audio(wav) as audio:
            whole = Region(recording, 0.0, audio.frames / SAMPLE_RATE)
        for region in [whole] if data.uem is None else data.uem.get(recording, []):
            if region.start >= whole.end:
                problems.append(
                    f"{data.path / 'uem'}: expected regions within the {whole.end:.3f} s of "
                    f"{recording}, found one from {region.start:g} s; remove it"
                )
                continue
            clipped = Region(recording, region.start, min(region.end, whole.end))
            regions.setdefault(recording, []).append(clipped)
    problems.raise_any()
    return regions


def write_data_dir(data: DataDir, folder: str | Path) -> None:
    """Write sorted copies of ``wav.scp`` and ``rttm``, and a ``uem`` of the scored regions.

    All files are complete before the first replaces an earlier one. Audio is not copied.
    """
    tables = {
        "wav.scp": [f"{key} {data.wavs[key]}" for key in sorted(data.wavs)],
        "rttm": rttm_lines(data.turns),
        "uem": uem_lines(scored_regions(data)),
    }
    replace_files(folder, {name: to_text(lines) for name, lines in tables.items()})


def merge_data_dirs(folders: Sequence[str | Path], output: str | Path) -> int:
    """Write the tables of some folders to one, and return the number of recordings."""
    wavs: dict[str, str] = {}
    turns: dict[str, Sequence[Turn]] = {}
    uem: dict[str, Sequence[Region]] = {}
    problems = Problems()
    for folder in folders:
        part = read_data_dir(folder)
        clashes = sorted(wavs.keys() & part.wavs.keys())
        if clashes:
            problems.append(
                f"{folder}: expected other recordings than in the folders before it, found "
                f"{len(clashes)} of the same name: {shown(clashes)}; rename or remove them"
            )
        wavs.update(part.wavs)
        turns.update(part.turns)
        uem.update(scored_regions(part))
    problems.raise_any()
    write_data_dir(DataDir(Path(output), wavs, turns, uem), output)
    return len(wavs)


def _warn(data: DataDir) -> None:
    silent = [recording for recording in data.wavs if not data.turns[recording]]
    unscored = [] if data.uem is None else [key for key in data.wavs if key not in data.uem]
    for table, names, consequence in (
        ("rttm", silent, "taken as silence"),
        ("uem", unscored, "neither trained on nor scored"),
    ):
        if names:
            logger.warning(
                "%s has no line for %d recording(s), %s: %s",
                data.path / table, len(names), consequence, shown(names),
            )  # fmt: skip


def _statistics(data: DataDir, durations: Mapping[str, float]) -> Statistics:
    audio = speech = overlap = 0.0
    for recording, turns in data.turns.items():
        annotation = to_annotation(turns, recording)
        audio += durations[recording]
        speech += annotation.get_timeline().support().duration()
        overlap += annotation.get_overlap().duration()
    return Statistics(
        recordings=len(data.wavs),
        hours=audio / 3600,
        speakers=len({turn.speaker for turns in data.turns.values() for turn in turns}),
        speech_ratio=speech / audio,
        overlap_ratio=overlap / speech if speech else 0.0,
    )
