"""Mono recordings out of array recordings: in parallel, atomic, kept by a repeated run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from espnet_prune.data.audio import SAMPLE_RATE, open_any_audio
from espnet_prune.data.tables import DataError
from espnet_prune.progress import progress

BLOCK_SAMPLES = 60 * SAMPLE_RATE

ToMono = Callable[[NDArray[np.int16]], NDArray[np.int16]]
"""Makes (T,) samples of (T, channels) samples."""


class Header(NamedTuple):
    """What the header of an audio file says: its channels, its samples per channel."""

    channels: int
    samples: int

    @property
    def seconds(self) -> float:
        """Length of the file."""
        return self.samples / SAMPLE_RATE


def first_channel(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Make (T,) samples of (T, channels): those of the first channel, unchanged."""
    return samples[:, 0]


def mean_of_channels(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Make (T,) samples of (T, channels): the mean of all channels, rounded."""
    return np.rint(samples.mean(axis=1)).astype(np.int16)


def read_header(path: Path, channels: int) -> Header:
    """Read the header of a 16 kHz PCM file.

    Args:
        path: audio file.
        channels: channels that it has at least.

    Raises:
        DataError: if it is unreadable, truncated, empty, or of another form.
    """
    with open_any_audio(path) as audio:
        if audio.samplerate != SAMPLE_RATE or not audio.subtype.startswith("PCM_"):
            raise DataError(
                f"{path}: expected {SAMPLE_RATE} Hz PCM, found {audio.samplerate} Hz "
                f"{audio.subtype}; unpack or download the file again"
            )
        if audio.channels < channels:
            raise DataError(
                f"{path}: expected {channels} channel(s), found {audio.channels}; "
                "unpack or download the file again"
            )
        return Header(audio.channels, audio.frames)


def make_mono(
    sources: Mapping[str, Path], folder: Path, to_mono: ToMono, nj: int
) -> dict[str, Path]:
    """Make 16 kHz, 16-bit mono FLAC files; those that an earlier run has finished are kept.

    Args:
        sources: audio file of each recording, 16 kHz; mono files are used as they are.
        folder: where to write ``<recording>.flac``.
        to_mono: makes one channel of several.
        nj: number of files to convert at a time.

    Returns:
        The mono file of each recording.

    Raises:
        DataError: with every file that could not be decoded; the others are finished.
    """
    monos = {name: _mono_path(name, source, folder) for name, source in sources.items()}
    waiting = [name for name in sources if not _is_finished(sources[name], monos[name])]
    folder.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    pool = ThreadPoolExecutor(nj)
    try:
        jobs = [pool.submit(_convert, sources[name], monos[name], to_mono) for name in waiting]
        for job in progress(as_completed(jobs), f"mono {folder.name}", len(jobs)):
            try:
                job.result()
            except DataError as error:
                problems += error.args
    finally:
        pool.shutdown(cancel_futures=True)
    if problems:
        raise DataError(*sorted(problems))
    return monos


def _mono_path(name: str, source: Path, folder: Path) -> Path:
    if soundfile.info(source).channels == 1:
        return source.absolute()
    return (folder / f"{name}.flac").absolute()


def _is_finished(source: Path, mono: Path) -> bool:
    """Tell whether the mono file is there and not older or shorter than its source."""
    if mono == source.absolute():
        return True
    with contextlib.suppress(OSError, soundfile.LibsndfileError):
        newer = mono.stat().st_mtime >= source.stat().st_mtime
        return newer and soundfile.info(mono).frames == soundfile.info(source).frames
    return False


def _convert(source: Path, mono: Path, to_mono: ToMono) -> None:
    part = mono.with_name(f".{mono.name}.part")
    decoded = 0
    try:
        with (
            soundfile.SoundFile(source) as audio,
            soundfile.SoundFile(part, "w", SAMPLE_RATE, 1, "PCM_16", format="FLAC") as output,
        ):
            # 16-bit integers all the way: through floats libsndfile would not give them back.
            for block in audio.blocks(BLOCK_SAMPLES, dtype="int16", always_2d=True):
                output.write(to_mono(block))
                decoded += len(block)
            expected = audio.frames
        if decoded != expected:
            raise DataError(
                f"{source}: expected {expected} samples as its header says, found {decoded}; "
                "unpack or download the file again"
            )
        os.replace(part, mono)
    except soundfile.LibsndfileError as error:
        raise DataError(
            f"{source}: expected audio that can be decoded, found {error.error_string!r} after "
            f"{decoded / SAMPLE_RATE:.0f} s; unpack or download the file again"
        ) from error
    finally:
        part.unlink(missing_ok=True)
