"""Audio files, and open files of the same content, through libsndfile."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from espnet_prune.data.audio.foreign import convert, is_foreign
from espnet_prune.data.tables import DataError

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


class Audio(Protocol):
    """What is read from: ``frames`` samples of each of the ``channels``, front to end.

    soundfile.SoundFile is one.
    """

    @property
    def samplerate(self) -> int:
        """In Hz."""
        ...

    @property
    def frames(self) -> int:
        """The number of samples of a channel."""
        ...

    @property
    def channels(self) -> int:
        """Their number."""
        ...

    def read(self, frames: int, dtype: str, always_2d: bool) -> NDArray[Any]:
        """The next ``(T, channels)``, no more than ``frames``, none at the end."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class ForwardFile(soundfile.SoundFile):
    """An audio file that is read from front to end.

    soundfile seeks to where it is after every block of a file that allows it, which for MP3 is
    inexact.
    """

    def seekable(self) -> bool:
        """No."""
        return False


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


def open_any_audio(
    path: str | Path, kind: type[soundfile.SoundFile] = soundfile.SoundFile
) -> soundfile.SoundFile:
    """Open a recording of any rate and number of channels; the caller closes it.

    What libsndfile does not read, such as MP4 and WebM, PyAV or ffmpeg read, where there is one.
    A DataError tells of a file that is missing, unreadable, truncated or empty.
    """
    if not Path(path).is_file():
        if Path(path).exists():
            raise DataError(
                f"expected an audio file, found a folder, pipe or device at {path}; write what it "
                "gives to a file, and name that"
            )
        raise DataError(f"expected an audio file, found none at {path}; correct the path")
    with open(path, "rb") as file:
        return _opened(os.fsencode(path), file, str(path), kind)  # which may be no UTF-8


def open_stream(file: BinaryIO, name: str) -> soundfile.SoundFile:
    """As :func:`open_any_audio` a file that is open already, and can seek; it stays open."""
    return _opened(file, file, name, ForwardFile)


def _opened(
    source: bytes | BinaryIO, file: BinaryIO, name: str, kind: type[soundfile.SoundFile]
) -> soundfile.SoundFile:
    """Open ``source``, a path or the open file itself; messages call it ``name``."""
    file.seek(0)
    head = file.read(512)
    file.seek(0)
    if is_foreign(name, head):
        source = file = convert(file, name)
    try:
        audio = kind(source)
    # A TypeError tells of the suffix .raw, which says that there is no header.
    except (soundfile.LibsndfileError, TypeError) as error:
        raise DataError(f"expected readable audio, found {_unreadable(head, error)} in {name}; "
                        "copy or convert the file again") from error  # fmt: skip
    if audio.frames == 0 and (place := _size_of_endless(file)):
        audio.close()
        audio = kind(_EndlessWav(source, file, place))
    if problem := problem_of(audio, name):
        audio.close()
        raise DataError(problem)
    return audio


def _unreadable(head: bytes, error: Exception) -> str:
    """What is in a file that begins with ``head`` and is no audio."""
    text = head.rpartition(b"\n")[0] or head
    if text and text.isascii() and text.decode().replace("\n", "").replace("\t", "").isprintable():
        return f"text ({text.decode().splitlines()[0][:40]!r})"
    return repr(getattr(error, "error_string", "no header"))


def blocks(audio: Audio, name: object, dtype: str = "float32") -> Iterator[NDArray[Any]]:
    """Decode what was opened to its end, in blocks ``(T, channels)``.

    A DataError, which calls it ``name``, tells of a recording that breaks off, or has samples that
    are no numbers.
    """
    size, decoded = int(BLOCK_SECONDS * audio.samplerate), 0
    while decoded < audio.frames:
        try:
            block = audio.read(size, dtype=dtype, always_2d=True)
        except soundfile.LibsndfileError:  # all that FLAC and Ogg tell of missing data
            block = np.zeros((0, 1))
        if not len(block):
            raise DataError(
                f"expected {audio.frames} samples as the header says, found fewer in {name}; the "
                "file is truncated or corrupt, copy it or download the file again"
            )
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            seconds = (decoded + int(finite.argmin())) / audio.samplerate
            raise DataError(
                f"expected finite samples, found NaN or infinity at {seconds:.3f} s in {name}; "
                "convert the file again"
            )
        decoded += len(block)
        yield block


def problem_of(audio: Audio, name: object) -> str | None:
    """What is wrong with what was opened, as far as its header tells."""
    # libsndfile shortens a truncated WAV without an error; only its log tells.
    log = getattr(audio, "extra_info", "")
    truncated = re.search(r"^data : (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    if truncated and int(truncated[2]) < int(truncated[1]) < _UNKNOWN_SIZE:
        return (
            f"expected {truncated[1]} bytes of samples as the header says, "
            f"found {truncated[2]} in {name}; the file is truncated, copy it again"
        )
    if not _MIN_RATE <= audio.samplerate <= _MAX_RATE:
        return (
            f"expected a sampling rate of {_MIN_RATE} to {_MAX_RATE} Hz, found {audio.samplerate} "
            f"Hz in {name}; its header is damaged, convert the file again"
        )
    if audio.frames == 0:
        return f"expected samples, found 0 in {name}; remove the recording"
    return None


class _EndlessWav(io.RawIOBase):
    """A WAV file whose data go on to its end, whatever the size at byte ``place`` says."""

    def __init__(self, source: bytes | BinaryIO, file: BinaryIO, place: int):
        self._file = io.FileIO(source) if isinstance(source, bytes) else file
        self._file.seek(0)
        self._place = place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As usual."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As usual."""
        return self._file.tell()

    def readinto(self, buffer) -> int:
        """As usual, but for the size."""
        start = self.tell()
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        for at in range(max(self._place - start, 0), min(self._place + 4 - start, len(data))):
            buffer[at : at + 1] = b"\xff"
        return len(data)


def _size_of_endless(file: BinaryIO) -> int | None:
    """Where a WAV file says that it has no data although data follow; None of any other file."""
    file.seek(0)
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
