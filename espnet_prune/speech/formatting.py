"""Data for training: every audio file's header checked, utterances of suitable length kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from espnet_prune.diarization.audio import SAMPLE_RATE, open_audio
from espnet_prune.diarization.tables import DataError
from espnet_prune.progress import progress
from espnet_prune.speech.audio_list import read_audio_list
from espnet_prune.speech.data_dir import UtteranceDir, read_utterance_dir, write_utterance_dir


@dataclass(frozen=True)
class LengthLimits:
    """Utterances to keep, by their length in seconds; both bounds are kept.

    Raises:
        ValueError: Nothing lies within the bounds.
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
    """Write a data directory with `utt2num_samples` of what a source has; audio is not copied.

    Args:
        source: A data directory, or a text file that lists audio files.
        output: The data directory to write.
        limits: Lengths to keep; None keeps all.
        nj: Headers to read at a time.

    Raises:
        DataError: With every problem of the tables, or of the audio, which has to be 16 kHz mono.
    """
    limits = limits or LengthLimits()
    read = read_utterance_dir if Path(source).is_dir() else read_audio_list
    data = read(source)
    lengths = _lengths(data.wavs, nj)
    too_short = {key for key, n in lengths.items() if n < limits.min_seconds * SAMPLE_RATE}
    too_long = {key for key, n in lengths.items() if n > limits.max_seconds * SAMPLE_RATE}
    kept = {key: n for key, n in lengths.items() if key not in too_short | too_long}
    if not kept:
        raise DataError(
            f"{source}: expected utterances of {limits.min_seconds:g} to {limits.max_seconds:g} s, "
            f"found {len(too_short)} shorter and {len(too_long)} longer ones; change the limits"
        )
    write_utterance_dir(_subset(data, kept), output, kept)
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


def _subset(data: UtteranceDir, kept: Mapping[str, int]) -> UtteranceDir:
    texts = data.texts
    return UtteranceDir(
        {key: data.wavs[key] for key in kept},
        {key: data.speakers[key] for key in kept},
        None if texts is None else {key: texts[key] for key in kept},
    )
