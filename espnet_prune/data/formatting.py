"""Data for training: headers checked, utterances cut, those of suitable length kept."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import soundfile

from espnet_prune.data.audio import SAMPLE_RATE, open_audio
from espnet_prune.data.audio_list import read_audio_list
from espnet_prune.data.meetings import END_TOLERANCE
from espnet_prune.data.segments import Segment
from espnet_prune.data.tables import DataError
from espnet_prune.data.utterances import UtteranceDir, read_utterance_dir, write_utterance_dir
from espnet_prune.progress import progress
from espnet_prune.storage.files import atomic_write

UTTERANCES = "utterances"
"""Folder of the utterances that were cut out of recordings."""


@dataclass(frozen=True)
class LengthLimits:
    """Utterances to keep, by their length in seconds; both bounds are kept.

    Raises:
        ValueError: nothing lies within the bounds.
    """

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

    Audio is not copied, but that of utterances within recordings is cut out, to 16-bit FLAC.

    Args:
        source: A data directory, or a text file that lists audio files.
        output: the data directory to write.
        limits: lengths to keep; None keeps all.
        nj: headers to read at a time.

    Raises:
        DataError: with every problem of the tables, or of the audio, which has to be 16 kHz mono.
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
    wavs = data.wavs
    if data.segments:
        wavs = {key: str(Path(output, UTTERANCES, f"{key}.flac")) for key in kept}
        for key in progress(kept, "cut utterances", len(kept)):
            _cut(data.wavs[data.segments[key].recording], spans[key], wavs[key])
    write_utterance_dir(_subset(data, wavs, kept), output, kept)
    hours = sum(kept.values()) / SAMPLE_RATE / 3600
    return Formatted(len(kept), hours, len(too_short), len(too_long))


def _lengths(wavs: Mapping[str, str], nj: int) -> dict[str, int]:
    """Read the length in samples of each utterance."""
    lengths: dict[str, int] = {}
    problems: list[str] = []
    with ThreadPoolExecutor(nj) as pool:
        found = pool.map(_length, wavs.values())
        for key, length in zip(wavs, progress(found, "read headers", len(wavs)), strict=True):
            if isinstance(length, int):
                lengths[key] = length
            else:
                problems += [f"{key}: {problem}" for problem in length.args]
    if problems:
        raise DataError(*problems)
    return lengths


def _length(wav: str) -> int | DataError:
    try:
        with open_audio(wav) as audio:
            return int(audio.frames)
    except DataError as error:
        return error


def _spans(
    source: str | Path, segments: Mapping[str, Segment], lengths: Mapping[str, int]
) -> dict[str, tuple[int, int]]:
    """First sample of each utterance and the one behind its last, within its recording."""
    spans: dict[str, tuple[int, int]] = {}
    problems: list[str] = []
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
    if problems:
        raise DataError(*problems)
    return spans


def _cut(wav: str, span: tuple[int, int], output: str) -> None:
    with open_audio(wav) as audio:
        audio.seek(span[0])
        samples = audio.read(span[1] - span[0], dtype="float32")
    flac = io.BytesIO()
    soundfile.write(flac, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    atomic_write(output, flac.getvalue())


def _subset(data: UtteranceDir, wavs: Mapping[str, str], kept: Mapping[str, int]) -> UtteranceDir:
    texts = data.texts
    return UtteranceDir(
        {key: wavs[key] for key in kept},
        {key: data.speakers[key] for key in kept},
        None if texts is None else {key: texts[key] for key in kept},
    )
