"""Recordings: the `wav.scp` table and the 16 kHz mono files that it names."""

from __future__ import annotations

import re
from pathlib import Path

import soundfile

from espnet_prune.diarization.tables import DataError, expect_fields

SAMPLE_RATE = 16000


def parse_wav(fields: list[str]) -> tuple[str, str]:
    """Make a recording id and a path of the (at most two) fields of a `wav.scp` line.

    Raises:
        ValueError: For a missing path or a command.
    """
    expect_fields(fields, "<recording> <path>")
    recording, path = fields
    if path.endswith("|") or path.startswith("|"):
        raise ValueError(
            f"expected the path of a plain file, found the command {path!r}; "
            "write its output to a file and name that"
        )
    return recording, path


def open_audio(path: str | Path) -> soundfile.SoundFile:
    """Open a recording for reading; the caller closes it.

    Raises:
        DataError: If it is missing, unreadable, truncated, empty, or not 16 kHz mono.
    """
    if not Path(path).is_file():
        raise DataError(f"expected an audio file, found none at {path}; correct the path")
    try:
        audio = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise DataError(
            f"expected readable audio, found {error.error_string!r} in {path}; "
            "copy or convert the file again"
        ) from error
    problem = _problem(audio)
    if problem:
        audio.close()
        raise DataError(problem)
    return audio


def _problem(audio: soundfile.SoundFile) -> str | None:
    # libsndfile shortens a truncated WAV without an error; only its log tells.
    truncated = re.search(r"^data : (\d+) \(should be (\d+)\)", audio.extra_info, re.MULTILINE)
    if truncated and int(truncated[1]) > int(truncated[2]):
        return (
            f"expected {truncated[1]} bytes of samples as the header says, "
            f"found {truncated[2]} in {audio.name}; the file is truncated, copy it again"
        )
    if audio.frames == 0:
        return f"expected samples, found 0 in {audio.name}; remove the recording"
    if audio.samplerate != SAMPLE_RATE or audio.channels != 1:
        return (
            f"expected {SAMPLE_RATE} Hz with 1 channel, found {audio.samplerate} Hz with "
            f"{audio.channels} channel(s) in {audio.name}; "
            f"convert it, for example `sox {audio.name} -r {SAMPLE_RATE} -c 1 new.wav`"
        )
    return None
