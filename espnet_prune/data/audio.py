"""Recordings: the ``wav.scp`` table, and the audio files that it or a user names."""

from __future__ import annotations

import io
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from espnet_prune.data.tables import DataError, expect_fields

SAMPLE_RATE = 16000
# Seconds that are decoded, mixed and resampled at a time.
BLOCK_SECONDS = 10
# Who writes a WAV to a pipe does not know its length: sizes of its data from here on say so, as
# does 0 where data follow.
_UNKNOWN_SIZE = 0x7FFFF000
# Rates in Hz beyond which a header is damaged.
_MIN_RATE, _MAX_RATE = 1_000, 768_000
# What folders are searched for; files that are named are read whatever their suffix.
SUFFIXES = frozenset({
    ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".au", ".snd",
    ".caf", ".w64", ".rf64", ".sph", ".nist",
})  # fmt: skip
# Common containers that libsndfile does not read.
FOREIGN = frozenset({
    ".3gp", ".aac", ".amr", ".avi", ".m4a", ".m4b", ".mkv", ".mov", ".mp4", ".webm", ".wma",
})  # fmt: skip


def parse_wav(fields: list[str]) -> tuple[str, str]:
    """Make a recording id and the path of a file of the two fields of a ``wav.scp`` line."""
    expect_fields(fields, "<recording> <path>")
    recording, path = fields
    if path.endswith("|") or path.startswith("|"):
        raise ValueError(
            f"expected the path of a plain file, found the command {path!r}; "
            "write its output to a file and name that"
        )
    return recording, path


def open_audio(path: str | Path) -> soundfile.SoundFile:
    """Open a 16 kHz mono recording as :func:`open_any_audio` does; others are a DataError."""
    audio = open_any_audio(path)
    if audio.samplerate != SAMPLE_RATE or audio.channels != 1:
        audio.close()
        raise DataError(
            f"expected {SAMPLE_RATE} Hz with 1 channel, found {audio.samplerate} Hz with "
            f"{audio.channels} channel(s) in {path}; "
            f"convert it, for example `sox {path} -r {SAMPLE_RATE} -c 1 new.wav`"
        )
    return audio


class ForwardFile(soundfile.SoundFile):
    """An audio file that is read from front to end.

    soundfile seeks to where it is after every block of a file that allows it, which for MP3 is
    inexact.
    """

    def seekable(self) -> bool:
        """No."""
        return False


def open_any_audio(
    path: str | Path, kind: type[soundfile.SoundFile] = soundfile.SoundFile
) -> soundfile.SoundFile:
    """Open a recording of any rate and number of channels; the caller closes it.

    A DataError tells of one that is missing, unreadable, truncated or empty.
    """
    if not Path(path).is_file():
        if Path(path).exists():
            raise DataError(
                f"expected an audio file, found a folder, pipe or device at {path}; write what it "
                "gives to a file, and name that"
            )
        raise DataError(f"expected an audio file, found none at {path}; correct the path")
    try:
        audio = kind(os.fsencode(path))  # which may be no UTF-8
    except soundfile.LibsndfileError as error:
        remedy = "copy or convert the file again"
        if Path(path).suffix.lower() in FOREIGN:
            remedy = f"convert it: ffmpeg -i {shlex.quote(str(path))} -ac 1 -ar {SAMPLE_RATE} "
            remedy += "new.wav"
        raise DataError(
            f"expected readable audio, found {error.error_string!r} in {path}; {remedy}"
        ) from error
    if audio.frames == 0 and (place := _size_of_endless(path)):
        audio.close()
        audio = kind(_EndlessWav(path, place))
    problem = _problem(audio, path)
    if problem:
        audio.close()
        raise DataError(problem)
    return audio


def blocks(
    audio: soundfile.SoundFile, path: str | Path, dtype: str = "float32"
) -> Iterator[NDArray[Any]]:
    """Decode an opened recording to its end, in blocks ``(T, channels)``.

    A DataError tells of one that breaks off, or has samples that are no numbers.
    """
    size, decoded = int(BLOCK_SECONDS * audio.samplerate), 0
    while decoded < audio.frames:
        try:
            block = audio.read(size, dtype=dtype, always_2d=True)
        except soundfile.LibsndfileError:  # all that FLAC and Ogg tell of missing data
            block = np.zeros((0, 1))
        if not len(block):
            raise DataError(
                f"expected {audio.frames} samples as the header says, found fewer in {path}; the "
                "file is truncated or corrupt, copy it or download the file again"
            )
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            seconds = (decoded + int(finite.argmin())) / audio.samplerate
            raise DataError(
                f"expected finite samples, found NaN or infinity at {seconds:.3f} s in {path}; "
                "convert the file again"
            )
        decoded += len(block)
        yield block


class AudioStream:
    """A recording as 16 kHz mono, read from front to end; the caller closes it.

    Channels are averaged; other rates are resampled as the file is read. What is held at a time
    is the stretch that was asked for last, and a block of ten seconds. ``num_samples`` is its
    length at 16 kHz.
    """

    def __init__(self, path: str | Path):
        self._path = path
        self._file = open_any_audio(path, ForwardFile)
        self.num_samples = max(1, round(self._file.frames * SAMPLE_RATE / self._file.samplerate))
        self._blocks = self._resampled()
        self._first = 0  # sample of the recording that _held starts at
        self._held = np.zeros(0, dtype=np.float32)

    def __enter__(self) -> AudioStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """The samples ``[start, stop)``, ``(T,)``; no earlier call had a later start."""
        if start < self._first:
            raise ValueError(f"expected a start of {self._first} or later, found {start}")
        stop = min(stop, self.num_samples)
        parts = [self._held[start - self._first :]]
        position = self._first + len(self._held)
        while position < stop:
            block = next(self._blocks)
            parts.append(block[max(0, start - position) :])
            position += len(block)
        self._held = np.concatenate(parts)
        self._first = start
        return self._held[: stop - start]

    def _resampled(self) -> Iterator[NDArray[np.float32]]:
        """Blocks ``(T,)`` at 16 kHz, ``num_samples`` in all."""
        mixed = (block.mean(axis=1) for block in blocks(self._file, self._path))
        if self._file.samplerate == SAMPLE_RATE:
            yield from mixed
            return
        import soxr

        resampler = soxr.ResampleStream(self._file.samplerate, SAMPLE_RATE, 1)
        missing = self.num_samples
        for block in mixed:
            samples = resampler.resample_chunk(block)
            missing -= len(samples)
            yield samples
        tail = resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
        # The resampler rounds the length in its own way.
        yield np.pad(tail, (0, max(0, missing - len(tail))))


def _problem(audio: soundfile.SoundFile, path: str | Path) -> str | None:
    # libsndfile shortens a truncated WAV without an error; only its log tells.
    truncated = re.search(r"^data : (\d+) \(should be (\d+)\)", audio.extra_info, re.MULTILINE)
    if truncated and int(truncated[2]) < int(truncated[1]) < _UNKNOWN_SIZE:
        return (
            f"expected {truncated[1]} bytes of samples as the header says, "
            f"found {truncated[2]} in {path}; the file is truncated, copy it again"
        )
    if not _MIN_RATE <= audio.samplerate <= _MAX_RATE:
        return (
            f"expected a sampling rate of {_MIN_RATE} to {_MAX_RATE} Hz, found {audio.samplerate} "
            f"Hz in {path}; its header is damaged, convert the file again"
        )
    if audio.frames == 0:
        return f"expected samples, found 0 in {path}; remove the recording"
    return None


class _EndlessWav(io.FileIO):
    """A WAV file whose data go on to its end, whatever the size at byte ``place`` says."""

    def __init__(self, path: str | Path, place: int):
        super().__init__(os.fsencode(path))
        self._place = place

    def readinto(self, buffer) -> int:
        """As usual, but for the size."""
        start = self.tell()
        count = super().readinto(buffer)
        for at in range(max(self._place - start, 0), min(self._place + 4 - start, count)):
            memoryview(buffer)[at : at + 1] = b"\xff"
        return count


def _size_of_endless(path: str | Path) -> int | None:
    """Where a WAV file says that it has no data although data follow; None of any other file."""
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        while len(chunk := file.read(8)) == 8:
            size = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                place = file.tell() - 4
                return place if size == 0 and file.read(1) else None
            file.seek(size + size % 2, os.SEEK_CUR)
    return None
