"""Data for training: headers checked, utterances cut, those of suitable length kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import soundfile

from espnet_prune.data.audio import SAMPLE_RATE, open_audio
from espnet_prune.data.meetings import END_TOLERANCE
from espnet_prune.data.tables import DataError, Problems
from espnet_prune.data.utterances import (
    Segment,
    UtteranceDir,
    read_audio_list,
    read_utterance_dir,
    write_utterance_dir,
)
from espnet_prune.progress import progress
from espnet_prune.storage.files import atomic_file

UTTERANCES = "utterances"  # folder of those that were cut out of recordings


@dataclass(frozen=True)
class LengthLimits:
    """Utterances to keep, by their length in seconds; both bounds are kept."""

    min_seconds: float = 0.0
    max_seconds: float = math.inf

    def __post_init__(self) -> None:
        if not 0 <= self.min_seconds < self.max_seconds:
            raise ValueError(
                "expected 0 <= min_seconds < max_seconds, "
                f"found {self.min_seconds:g} and {self.max_seconds:g}; change one of them"
            )


class Formatted(NamedTuple):
    """How many utterances were kept, their hours, and how many were too short or too long."""

    kept: int
    hours: float
    too_short: int
    too_long: int

    def __str__(self) -> str:
        return (
            f"{self.kept} utterances of {self.hours:.2f} hours; left out "
            f"{self.too_short} too short and {self.too_long} too long"
        )


def format_speech(
    source: str | Path, output: str | Path, limits: LengthLimits | None = None, nj: int = 1
) -> Formatted:
    """Write a data directory with ``utt2num_samples`` of what a source has.

    The source is a data directory, or a text file that lists audio files, 16 kHz mono. They are
    not copied, but utterances within recordings are cut out, to 16-bit FLAC. ``nj`` headers are
    read at a time; a DataError has every problem of the tables, or else of the audio.
    """
    limits = limits or LengthLimits()
    read = read_utterance_dir if Path(source).is_dir() else read_audio_list
    data = read(source)
    lengths = _lengths(data.wavs, nj)
    spans = _spans(source, data.segments, lengths) if data.segments else {}
    lengths = {key: stop - start for key, (start, stop) in spans.items()} or lengths
    too_short = {key for key, n in lengths.items() if n < limits.min_seconds * SAMPLE_RATE}
    too_long = {key for key, n in lengths.items() if n > limits.max_seconds * SAMPLE_RATE}
    kept = {key: n for key, n in lengths.items() if key not in too_short | too_long}
    if not kept:
        raise DataError(
            f"{source}: expected utterances of {limits.min_seconds:g} to {limits.max_seconds:g} s, "
            f"found {len(too_short)} shorter and {len(too_long)} longer ones; change the limits"
        )
    wavs, texts = data.wavs, data.texts
    if data.segments:
        wavs = {key: str(Path(output, UTTERANCES, f"{key}.flac")) for key in kept}
        for key in progress(kept, "cut utterances"):
            _cut(data.wavs[data.segments[key].recording], spans[key], wavs[key])
    subset = UtteranceDir(
        {key: wavs[key] for key in kept},
        {key: data.speakers[key] for key in kept},
        None if texts is None else {key: texts[key] for key in kept},
    )
    write_utterance_dir(subset, output, kept)
    hours = sum(kept.values()) / SAMPLE_RATE / 3600
    return Formatted(len(kept), hours, len(too_short), len(too_long))


def _lengths(wavs: Mapping[str, str], nj: int) -> dict[str, int]:
    """Read the length in samples of each utterance."""
    lengths: dict[str, int] = {}
    problems = Problems()
    with ThreadPoolExecutor(nj) as pool:
        jobs = {key: pool.submit(_length, wav) for key, wav in wavs.items()}
        for key, job in progress(jobs.items(), "read headers"):
            with problems.collect(f"{key}: "):
                lengths[key] = job.result()
    problems.raise_any()
    return lengths


def _length(wav: str) -> int:
    with open_audio(wav) as audio:
        return int(audio.frames)


def _spans(
    source: str | Path, segments: Mapping[str, Segment], lengths: Mapping[str, int]
) -> dict[str, tuple[int, int]]:
    """First sample of each utterance and the one behind its last, within its recording."""
    spans: dict[str, tuple[int, int]] = {}
    problems = Problems()
    for key, segment in segments.items():
        total = lengths[segment.recording]
        end = total / SAMPLE_RATE if segment.end is None else segment.end
        start, stop = round(segment.start * SAMPLE_RATE), min(round(end * SAMPLE_RATE), total)
        if start >= stop or end > total / SAMPLE_RATE + END_TOLERANCE or "/" in key:
            problems.append(
                f"{Path(source, 'segments')}: expected {key}, a name without slashes, within the "
                f"{total / SAMPLE_RATE:.3f} s of {segment.recording}, found {segment.start:g} s to "
                f"{end:g} s; correct or remove the line"
            )
        spans[key] = start, stop
    problems.raise_any()
    return spans


def _cut(wav: str, span: tuple[int, int], output: str) -> None:
    with open_audio(wav) as audio:
        audio.seek(span[0])
        samples = audio.read(span[1] - span[0], dtype="float32")
    with atomic_file(output) as flac:
        soundfile.write(flac, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
