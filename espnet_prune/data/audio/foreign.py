"""Containers that libsndfile does not read, such as MP4 and WebM: PyAV or ffmpeg convert them."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from espnet_prune.data.audio.disk import temporary_file
from espnet_prune.data.tables import DataError

RATE = 16000
"""Hz of what is converted; its channels stay."""
FOREIGN = frozenset({
    ".3gp", ".aac", ".amr", ".avi", ".m4a", ".m4b", ".mkv", ".mov", ".mp4", ".webm", ".wma",
})  # fmt: skip
# How such files begin, the first two at byte 4 and 8: recorders and uploads have wrong suffixes.
_MAGIC = (b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11", b"#!AMR")
# A file is shorter than its header says by a packet or so, or was cut.
_SLACK = 1.0


def is_foreign(name: str, head: bytes) -> bool:
    """Whether a file of that name, or that beginning, is one that has to be converted."""
    riff = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    known = head[4:8] == b"ftyp" or riff or head.startswith(_MAGIC)
    return known or Path(name).suffix.lower() in FOREIGN


def convert(file: BinaryIO, name: str) -> BinaryIO:
    """The first audio track of an open file, as a temporary WAV file of 16 kHz.

    It takes 115 MB per hour and channel.

    Raises:
        DataError: calls the file ``name``; it is damaged or has no audio, or there is neither PyAV
            nor ffmpeg.
    """
    output = temporary_file()
    try:
        import av
    except ImportError:
        _by_ffmpeg(file, output, name)
    else:
        _by_pyav(av, file, output, name)
    output.seek(0)
    return output


def _by_pyav(av: Any, file: BinaryIO, output: BinaryIO, name: str) -> None:
    try:
        with av.open(file) as container:
            if not container.streams.audio:
                raise DataError(f"expected audio, found none in {name}; name another file")
            stream = container.streams.audio[0]
            seconds = _write(_resampled(av, container.decode(stream)), output)
            _require_length(stream, container, seconds, name)
    except (av.FFmpegError, soundfile.LibsndfileError, OSError) as error:
        raise _unreadable(name, getattr(error, "strerror", None) or str(error)) from error


def _resampled(av: Any, frames: Iterable[Any]) -> Iterator[NDArray[np.int16]]:
    """Samples ``(T, channels)`` of the frames."""
    resampler = av.AudioResampler(format="s16", rate=RATE)
    for frame in itertools.chain(frames, [None]):
        for part in resampler.resample(frame):
            yield part.to_ndarray().reshape(-1, part.layout.nb_channels)


def _write(parts: Iterator[NDArray[np.int16]], output: BinaryIO) -> float:
    """Write the parts, and tell their seconds; only the first tells for sure how many channels."""
    first = next(parts, np.zeros((0, 1), np.int16))
    with soundfile.SoundFile(output, "w", RATE, first.shape[1], "PCM_16", format="W64") as file:
        for part in itertools.chain([first], parts):
            file.write(part)
        return file.frames / RATE


def _require_length(stream: Any, container: Any, seconds: float, name: str) -> None:
    expected = 0.0
    if stream.duration is not None:
        expected = float(stream.duration * stream.time_base)
    elif container.duration is not None and len(container.streams) == 1:
        expected = container.duration / 1e6
    if seconds < expected - _SLACK:
        raise DataError(
            f"expected {expected:.1f} s of audio as the header says, found {seconds:.1f} s in "
            f"{name}; the file is truncated, copy it again"
        )


def _by_ffmpeg(file: BinaryIO, output: BinaryIO, name: str) -> None:
    program = shutil.which("ffmpeg")
    if not program:
        raise DataError(
            f"expected PyAV or ffmpeg, which read {name}, found neither; pip install "
            "'espnet_prune[media]', or install ffmpeg"
        )
    # MP4 is read out of order: a pipe would not do.
    with tempfile.NamedTemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        command = [program, "-v", "error", "-xerror", "-nostdin", "-i", f"file:{copy.name}"]
        command += ["-map", "0:a:0", "-ar", str(RATE), "-c:a", "pcm_s16le", "-f", "wav", "pipe:1"]
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        problem = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise _unreadable(name, problem[-1].replace(f"file:{copy.name}: ", ""))


def _unreadable(name: str, problem: str) -> DataError:
    return DataError(
        f"expected readable audio, found {problem!r} in {name}; copy or convert the file again"
    )
