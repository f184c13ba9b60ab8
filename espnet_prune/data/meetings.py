"""Kaldi-style data directories of diarization corpora: reading, thorough checking, formatting."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

from espnet_prune.data.audio import SAMPLE_RATE, open_audio, parse_wav
from espnet_prune.data.rttm import Turn, parse_turn, rttm_lines, to_annotation
from espnet_prune.data.segments import Segment, parse_segment
from espnet_prune.data.tables import NIST_COMMENTS, DataError, scan_table, to_text
from espnet_prune.data.uem import Region, parse_region, uem_lines
from espnet_prune.progress import progress
from espnet_prune.storage.files import replace_files

T = TypeVar("T")

END_TOLERANCE = 0.1  # seconds that a turn or region may outlast its recording
BLOCK_SAMPLES = 60 * SAMPLE_RATE

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataDir:
    """The tables of a data directory.

    Attributes:
        path: the directory.
        wavs: path of the audio file of each recording.
        turns: speaker turns of each recording, empty for a silent one.
        uem: scored regions of the recordings, or None where the directory has no ``uem``.
    """

    path: Path
    wavs: Mapping[str, str]
    turns: Mapping[str, Sequence[Turn]]
    uem: Mapping[str, Sequence[Region]] | None


@dataclass(frozen=True)
class Statistics:
    """Size of a corpus.

    Attributes:
        recordings: number of recordings.
        hours: their total length in hours.
        speakers: number of speaker labels.
        speech_ratio: share of the time in which somebody speaks.
        overlap_ratio: share of that speech in which two or more speak.
    """

    recordings: int
    hours: float
    speakers: int
    speech_ratio: float
    overlap_ratio: float


class _Tables:
    """Rows with their line numbers, for messages that name the line; ``problems`` collects."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        for name in ("wav.scp", "rttm"):
            if not (path / name).is_file():
                self.problems.append(
                    f"{path / name}: expected this file in a data directory, found none; create it"
                )
        self.wavs = self._scan("wav.scp", parse_wav, 2)
        self.turns = self._scan("rttm", parse_turn, comments=NIST_COMMENTS)
        self.regions = self._scan("uem", parse_region, comments=NIST_COMMENTS)
        self.segments = self._scan("segments", parse_segment)
        self._check_ids()
        self._check_regions()

    def where(self, name: str, line: int) -> str:
        """Format the place of a line of a table."""
        return f"{self.path / name}:{line}"

    def timed(self) -> Iterator[tuple[str, Turn | Region | Segment]]:
        """Yield every row that refers to a recording, with its place."""
        for line, turn in self.turns:
            yield self.where("rttm", line), turn
        for line, region in self.regions:
            yield self.where("uem", line), region
        for line, segment in self.segments:
            yield self.where("segments", line), segment

    def data_dir(self) -> DataDir:
        """Group the rows by recording."""
        wavs = dict(wav for _, wav in self.wavs)
        turns: dict[str, list[Turn]] = {recording: [] for recording in wavs}
        for _, turn in self.turns:
            turns[turn.recording].append(turn)
        if not (self.path / "uem").is_file():
            return DataDir(self.path, wavs, turns, None)
        uem: dict[str, list[Region]] = {}
        for _, region in self.regions:
            uem.setdefault(region.recording, []).append(region)
        return DataDir(self.path, wavs, turns, uem)

    def _scan(
        self, name: str, parse: Callable[[list[str]], T | None], *layout, **comments
    ) -> list[tuple[int, T]]:
        if not (self.path / name).is_file():
            return []
        rows, problems = scan_table(self.path / name, parse, *layout, **comments)
        self.problems += problems
        return rows

    def _check_ids(self) -> None:
        if (self.path / "wav.scp").is_file() and not self.wavs:
            self.problems.append(
                f"{self.path / 'wav.scp'}: expected at least one recording, found none; add one"
            )
        self._check_unique("wav.scp", ((line, recording) for line, (recording, _) in self.wavs))
        self._check_unique("segments", ((line, segment.id) for line, segment in self.segments))
        known = {recording for _, (recording, _) in self.wavs}
        for place, row in self.timed():
            if row.recording not in known:
                self.problems.append(
                    f"{place}: expected a recording of wav.scp, found {row.recording!r}; "
                    "add it there or remove the line"
                )

    def _check_unique(self, name: str, ids: Iterable[tuple[int, str]]) -> None:
        first_lines: dict[str, int] = {}
        for line, key in ids:
            first = first_lines.setdefault(key, line)
            if first != line:
                self.problems.append(
                    f"{self.where(name, line)}: expected unique ids, found {key!r} "
                    f"already in line {first}; rename or remove one"
                )

    def _check_regions(self) -> None:
        rows = sorted(self.regions, key=lambda row: (row[1].recording, row[1].start))
        for (before_line, before), (line, region) in pairwise(rows):
            if before.recording == region.recording and region.start < before.end:
                self.problems.append(
                    f"{self.where('uem', line)}: expected regions that do not overlap, found "
                    f"{region.start:g} s before the end of the region of line {before_line}; "
                    "merge them"
                )


def read_data_dir(path: str | Path) -> DataDir:
    """Read the tables of a data directory; its audio is not opened.

    Raises:
        DataError: with every problem within and between the tables.
    """
    tables = _Tables(Path(path))
    if tables.problems:
        raise DataError(*tables.problems)
    return tables.data_dir()


def check_data_dir(path: str | Path) -> Statistics:
    """Check the tables and every sample of the audio of a data directory.

    Raises:
        DataError: with every problem found.
    """
    tables = _Tables(Path(path))
    problems = list(tables.problems)
    durations: dict[str, float] = {}
    for line, (recording, wav) in progress(tables.wavs, "check audio"):
        try:
            durations[recording] = _check_samples(wav)
        except DataError as error:
            problems += [f"{tables.where('wav.scp', line)}: {problem}" for problem in error.args]
    for place, row in tables.timed():
        duration = durations.get(row.recording)
        if duration is not None and row.end is not None and row.end > duration + END_TOLERANCE:
            problems.append(
                f"{place}: expected an end within the {duration:.3f} s of {row.recording}, "
                f"found {row.end:.3f} s; shorten or remove the line"
            )
    if problems:
        raise DataError(*problems)
    data = tables.data_dir()
    _warn(data)
    return _statistics(data, durations)


def scored_regions(data: DataDir) -> dict[str, list[Region]]:
    """List the regions of each recording that its ``uem`` scores, or else the entire recording.

    Regions end with the audio, the length of which is read from its header.

    Raises:
        DataError: for unreadable audio and regions beyond its end.
    """
    problems: list[str] = []
    regions: dict[str, list[Region]] = {}
    for recording, wav in data.wavs.items():
        whole = Region(recording, 0.0, _duration(wav))
        listed = [whole] if data.uem is None else data.uem.get(recording, [])
        for region in listed:
            if region.start >= whole.end:
                problems.append(
                    f"{data.path / 'uem'}: expected regions within the {whole.end:.3f} s of "
                    f"{recording}, found one from {region.start:g} s; remove it"
                )
                continue
            clipped = Region(recording, region.start, min(region.end, whole.end))
            regions.setdefault(recording, []).append(clipped)
    if problems:
        raise DataError(*problems)
    return regions


def write_data_dir(data: DataDir, folder: str | Path) -> None:
    """Write sorted copies of ``wav.scp`` and ``rttm``, and a ``uem`` of the scored regions.

    All files are complete before the first replaces an earlier one. Audio is not copied.

    Raises:
        DataError: for unreadable audio.
    """
    tables = {
        "wav.scp": [f"{key} {data.wavs[key]}" for key in sorted(data.wavs)],
        "rttm": rttm_lines(data.turns),
        "uem": uem_lines(scored_regions(data)),
    }
    replace_files(folder, {name: to_text(lines) for name, lines in tables.items()})


def _duration(wav: str) -> float:
    with open_audio(wav) as audio:
        return float(audio.frames / SAMPLE_RATE)


def _check_samples(wav: str) -> float:
    """Decode a recording block by block and return its length in seconds."""
    decoded = 0
    with open_audio(wav) as audio:
        try:
            for block in audio.blocks(BLOCK_SAMPLES, dtype="float32"):
                finite = np.isfinite(block)
                if not finite.all():
                    first = (decoded + int(finite.argmin())) / SAMPLE_RATE
                    raise DataError(
                        f"expected finite samples, found NaN or infinity at {first:.3f} s "
                        f"in {wav}; convert the file again"
                    )
                decoded += len(block)
        except soundfile.LibsndfileError:
            decoded = -1  # FLAC and Ogg tell of missing data only by failing to decode
        if decoded != audio.frames:
            raise DataError(
                f"expected {audio.frames} samples as the header says, found fewer in {wav}; "
                "the file is truncated or corrupt, copy it again"
            )
        return float(audio.frames / SAMPLE_RATE)


def _warn(data: DataDir) -> None:
    silent = [recording for recording in data.wavs if not data.turns[recording]]
    if silent:
        logger.warning(
            "%s has no line for %d recording(s), taken as silence: %s",
            data.path / "rttm", len(silent), ", ".join(silent[:5]),
        )  # fmt: skip
    unscored = [] if data.uem is None else [key for key in data.wavs if key not in data.uem]
    if unscored:
        logger.warning(
            "%s has no line for %d recording(s), neither trained on nor scored: %s",
            data.path / "uem", len(unscored), ", ".join(unscored[:5]),
        )  # fmt: skip


def _statistics(data: DataDir, durations: Mapping[str, float]) -> Statistics:
    seconds = dict.fromkeys(("audio", "speech", "overlap"), 0.0)
    speakers = {turn.speaker for turns in data.turns.values() for turn in turns}
    for recording, turns in data.turns.items():
        annotation = to_annotation(turns, recording)
        seconds["audio"] += durations[recording]
        seconds["speech"] += annotation.get_timeline().support().duration()
        seconds["overlap"] += annotation.get_overlap().duration()
    return Statistics(
        recordings=len(data.wavs),
        hours=seconds["audio"] / 3600,
        speakers=len(speakers),
        speech_ratio=seconds["speech"] / seconds["audio"],
        overlap_ratio=seconds["overlap"] / seconds["speech"] if seconds["speech"] else 0.0,
    )
