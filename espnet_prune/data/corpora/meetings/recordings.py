"""Mono recordings out of array recordings: in parallel, atomic, kept by a repeated run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from espnet_prune.data.audio import SAMPLE_RATE, blocks, open_any_audio
from espnet_prune.data.tables import DataError, Problems
from espnet_prune.progress import progress
from espnet_prune.storage.files import atomic_file

ToMono = Callable[[NDArray[np.int16]], NDArray[np.int16]]
"""Makes (T,) samples of (T, channels) samples."""


def first_channel(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Those of the first channel, unchanged."""
    return samples[:, 0]


def mean_of_channels(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """The mean of all channels, rounded."""
    return np.rint(samples.mean(axis=1)).astype(np.int16)


def read_seconds(path: Path, channels: int) -> float:
    """Read the length of a 16 kHz PCM file, which has so many channels at least."""
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
        return audio.frames / SAMPLE_RATE


def make_mono(
    sources: Mapping[str, Path], folder: Path, to_mono: ToMono, nj: int
) -> dict[str, Path]:
    """Make 16-bit mono files of recordings at 16 kHz, ``nj`` at a time, and tell where they are.

    Mono files are used as they are, others become ``<folder>/<recording>.flac``; those that an
    earlier run has finished are kept. A DataError has every file that could not be decoded.
    """
    monos = {name: source.absolute() for name, source in sources.items()}
    arrays = [name for name, path in monos.items() if soundfile.info(path).channels > 1]
    monos |= {name: (folder / f"{name}.flac").absolute() for name in arrays}
    waiting = [name for name in arrays if not _is_finished(sources[name], monos[name])]
    problems = Problems()
    pool = ThreadPoolExecutor(nj)
    try:
        jobs = {pool.submit(_convert, sources[key], monos[key], to_mono): key for key in waiting}
        for job in progress(as_completed(jobs), f"mono {folder.name}", len(jobs)):
            with problems.collect(f"{sources[jobs[job]]}: "):
                job.result()
    finally:
        pool.shutdown(cancel_futures=True)
    problems.sort()
    problems.raise_any()
    return monos


def _is_finished(source: Path, mono: Path) -> bool:
    """Tell whether the mono file is there and not older or shorter than its source."""
    with contextlib.suppress(OSError, soundfile.LibsndfileError):
        newer = mono.stat().st_mtime >= source.stat().st_mtime
        return newer and soundfile.info(mono).frames == soundfile.info(source).frames
    return False


def _convert(source: Path, mono: Path, to_mono: ToMono) -> None:
    with (
        atomic_file(mono) as file,
        open_any_audio(source) as audio,
        soundfile.SoundFile(file, "w", SAMPLE_RATE, 1, "PCM_16", format="FLAC") as output,
    ):
        # 16-bit integers all the way: through floats libsndfile would not give them back.
        for block in blocks(audio, source, "int16"):
            output.write(to_mono(block))
