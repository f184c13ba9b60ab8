"""What a ``wav.scp`` names: files, entries of archives, and commands that write audio."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from espnet_prune.data.audio.arrays import ArrayAudio
from espnet_prune.data.audio.disk import on_disk
from espnet_prune.data.audio.files import Audio, open_stream
from espnet_prune.data.audio.names import recording_name
from espnet_prune.data.audio.sources import AudioSource, FileSource
from espnet_prune.data.tables import DataError, expect_fields, scan_table

T = TypeVar("T")

_LAYOUT = "<recording> <path>"
_ENTRY = re.compile(r"(?:ark:)?(?P<path>.+):(?P<offset>\d+)")
# What kaldiio reads as audio; it unpickles what begins in another way.
_AUDIO = (b"RIFF", b"fLaC", b"AUDIO")


def read_scp(path: str | Path, parse: Callable[[list[str]], tuple[str, T]]) -> dict[str, T]:
    """Read the audio of every recording of a ``wav.scp``, as ``parse`` makes it of a line.

    Raises:
        DataError: with every malformed or doubled line, or if there is none.
    """
    rows, problems = scan_table(path, parse, max_fields=2)
    wavs: dict[str, T] = {}
    for line, (recording, wav) in rows:
        if wavs.setdefault(recording, wav) != wav:
            problems.append(f"{path}:{line}: expected unique ids, found {recording!r} twice")
    if not (rows or problems):
        problems.append(f"{path}: expected at least one recording, found none; add one")
    problems.raise_any()
    return wavs


def parse_wav(fields: list[str]) -> tuple[str, str]:
    """Make a recording id and the path of a file of the two fields of a ``wav.scp`` line."""
    expect_fields(fields, _LAYOUT)
    recording, path = fields
    if _is_command(path):
        raise ValueError(
            f"expected the path of a plain file, found the command {path!r}; "
            "write its output to a file and name that"
        )
    return recording, path


def parse_source(fields: list[str], commands: bool = False) -> tuple[str, AudioSource]:
    """As :func:`parse_wav`, but what is named may be an entry of an archive, ``a.ark:123``.

    With ``commands`` it may be a command with ``|`` behind it, too, which runs when it is opened.
    """
    expect_fields(fields, _LAYOUT)
    recording, text = fields
    if _is_command(text):
        if not commands:
            raise ValueError(
                f"expected the path of a plain file, found the command {text!r}; if you trust "
                "this file, have its commands run with --run_commands"
            )
        return recording, CommandSource(text.strip().strip("|").strip())
    entry = _ENTRY.fullmatch(text)
    if entry and not Path(text).exists():
        return recording, ArkSource(entry["path"], int(entry["offset"]))
    return recording, FileSource(text)


@dataclass(frozen=True)
class ArkSource:
    """The recording that begins at a byte of a Kaldi archive; all of it is read at once."""

    path: str
    offset: int

    @property
    def name(self) -> str:
        """That of the archive and the byte."""
        return f"{recording_name(self.path)}_{self.offset}"

    def __str__(self) -> str:
        return f"{self.path}:{self.offset}"

    def open(self) -> Audio:
        """See :class:`~espnet_prune.data.audio.sources.AudioSource`."""
        kaldiio = _kaldiio(self)
        if not Path(self.path).is_file():
            raise DataError(f"expected an archive, found none at {self.path}; correct the path")
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            head = file.read(5)
        if not head.startswith(_AUDIO):
            raise DataError(f"expected audio, found {head!r} at {self}; correct the offset, or "
                            "name audio in place of features")  # fmt: skip
        try:
            rate, samples = kaldiio.load_mat(str(self))
        except Exception as error:  # whatever kaldiio, wave and soundfile make of damage
            raise DataError(
                f"expected readable audio, found {str(error) or type(error).__name__} at {self}; "
                "write the archive again"
            ) from error
        return ArrayAudio(samples, rate, str(self))


@dataclass(frozen=True)
class CommandSource:
    """What a shell command writes to its standard output, by way of a temporary file."""

    command: str

    @property
    def name(self) -> str:
        """A file's name is not known."""
        return "command"

    def __str__(self) -> str:
        return f"{self.command} |"

    def open(self) -> Audio:
        """See :class:`~espnet_prune.data.audio.sources.AudioSource`."""
        process = _kaldiio(self).open_like_kaldi(str(self), "rb")
        output = on_disk(process)
        if status := process.close():
            raise DataError(
                f"expected audio from the command `{self}`, found the exit status {status >> 8}; "
                "run it by hand and correct it"
            )
        return open_stream(output, str(self))


def _kaldiio(what: AudioSource) -> Any:
    try:
        import kaldiio
    except ImportError as error:
        raise DataError(f"{what}: expected kaldiio, found none; pip install "
                        "'espnet_prune[media]'") from error  # fmt: skip
    return kaldiio


def _is_command(text: str) -> bool:
    return text.endswith("|") or text.startswith("|")
