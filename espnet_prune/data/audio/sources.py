"""What audio may come from, under one protocol: files, open files, arrays, a channel of them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias, runtime_checkable

from espnet_prune.data.audio.arrays import ArrayAudio
from espnet_prune.data.audio.disk import seekable
from espnet_prune.data.audio.files import Audio, ForwardFile, open_any_audio, open_stream
from espnet_prune.data.audio.names import recording_name, without_blanks
from espnet_prune.data.tables import DataError

UNNAMED = "audio"
"""The name of a recording that came without one."""


@runtime_checkable
class AudioSource(Protocol):
    """A recording that can be opened; as a text it is what messages call it."""

    @property
    def name(self) -> str:
        """What the recording is called, without blanks."""
        ...

    def open(self) -> Audio:
        """Open it from its beginning; the caller closes it.

        Raises:
            DataError: it is missing, unreadable, truncated or empty.
        """
        ...


Source: TypeAlias = "AudioSource | str | PathLike[str] | BinaryIO | bytes | tuple | Mapping"
"""What :func:`as_source` takes."""


@dataclass(frozen=True)
class FileSource:
    """An audio file."""

    path: str | PathLike[str]

    @property
    def name(self) -> str:
        """That of the file, without its suffix."""
        return recording_name(Path(self.path))

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> Audio:
        """See :class:`AudioSource`."""
        return open_any_audio(Path(self.path), ForwardFile)


@dataclass(frozen=True)
class OpenFileSource:
    """A file that is open for reading bytes, from its first byte, or a stream from where it is.

    What cannot seek, as a pipe, is copied to a temporary file on the disk when it is opened.
    """

    file: BinaryIO
    title: str = "the open file"

    @property
    def name(self) -> str:
        """That of the file, if it has one."""
        return recording_name(self._path) if self._path else UNNAMED

    def __str__(self) -> str:
        return self._path or self.title

    @property
    def _path(self) -> str:
        name = getattr(self.file, "name", None)  # a number, of a file without a name
        return name if isinstance(name, str) else ""

    def open(self) -> Audio:
        """See :class:`AudioSource`."""
        if self.file.read(0) != b"":
            raise DataError(f"expected a file opened to read bytes, found text in {self}; open it "
                            'with the mode "rb"')  # fmt: skip
        return open_stream(seekable(self.file), str(self))


@dataclass(frozen=True)
class ArraySource:
    """Samples in memory, see :class:`~espnet_prune.data.audio.arrays.ArrayAudio`."""

    samples: Any = field(repr=False)
    rate: int
    name: str = UNNAMED

    def __str__(self) -> str:
        return f"the array {self.name!r}"

    def open(self) -> Audio:
        """See :class:`AudioSource`."""
        return ArrayAudio(self.samples, self.rate, str(self))


@dataclass(frozen=True)
class ChannelSource:
    """One channel of a recording, counted from 0."""

    whole: AudioSource
    channel: int

    @property
    def name(self) -> str:
        """That of the recording and the number of the channel."""
        return f"{self.whole.name}_ch{self.channel}"

    def __str__(self) -> str:
        return f"channel {self.channel} of {self.whole}"

    def open(self) -> Audio:
        """See :class:`AudioSource`."""
        audio = self.whole.open()
        if not 0 <= self.channel < audio.channels:
            audio.close()
            raise DataError(
                f"expected a channel from 0 to {audio.channels - 1}, found {self.channel} of "
                f"{self.whole}; correct it"
            )
        return _OneChannel(audio, self.channel)


@singledispatch
def as_source(source: Any) -> AudioSource:
    """The recording that a user names or hands over.

    It is the path of a file; an open binary file, its bytes, or a stream; a tuple of samples and
    their rate in Hz, in either order, as ``soundfile.read`` and ``torchaudio.load`` return them;
    or a mapping with ``waveform`` and ``sample_rate``, or with ``audio``, any of the others, and
    perhaps with ``channel`` and ``uri``, the number of a channel and the recording's name.

    Raises:
        DataError: it is none of those.
    """
    if isinstance(source, AudioSource):
        return source
    if hasattr(source, "read"):
        return OpenFileSource(source)
    raise DataError(
        "expected audio as a path, an open binary file, (samples, rate) or {'waveform', "
        f"'sample_rate'}}, found {_kind(source)}; give an array with its sampling rate"
    )


@as_source.register(str)
@as_source.register(PathLike)
def _(source: str | PathLike[str]) -> AudioSource:
    return FileSource(source)


@as_source.register(bytes)
def _(source: bytes) -> AudioSource:
    return OpenFileSource(io.BytesIO(source))


@as_source.register(tuple)
def _(source: tuple[Any, ...]) -> AudioSource:
    numbers = [value for value in source if isinstance(value, int)]
    arrays = [value for value in source if not isinstance(value, int)]
    if len(numbers) != 1 or len(arrays) != 1:
        kinds = ", ".join(map(_kind, source))
        raise DataError(f"expected samples and their rate in Hz, a whole number, found ({kinds})")
    return ArraySource(arrays[0], numbers[0])


@as_source.register(Mapping)
def _(source: Mapping[str, Any]) -> AudioSource:
    name = without_blanks(str(source.get("uri", UNNAMED)))
    if {"waveform", "sample_rate"} <= source.keys():
        found: AudioSource = ArraySource(source["waveform"], source["sample_rate"], name)
    elif "audio" in source:
        found = as_source(source["audio"])
    else:
        keys = ", ".join(map(repr, source)) or "none"
        raise DataError(
            f"expected the keys 'waveform' and 'sample_rate', or 'audio', found {keys}; add them"
        )
    if source.get("channel") is not None:
        found = ChannelSource(found, int(source["channel"]))
    return _Named(found, name) if "uri" in source else found


@dataclass(frozen=True)
class _Named:
    """A recording under another name."""

    whole: AudioSource
    name: str

    def __str__(self) -> str:
        return str(self.whole)

    def open(self) -> Audio:
        return self.whole.open()


class _OneChannel:
    def __init__(self, audio: Audio, channel: int):
        self._audio, self._channel = audio, channel
        self.samplerate, self.frames, self.channels = audio.samplerate, audio.frames, 1

    def read(self, frames: int, dtype: str, always_2d: bool) -> Any:
        block = self._audio.read(frames, dtype=dtype, always_2d=always_2d)
        return block[:, self._channel : self._channel + 1]

    def close(self) -> None:
        self._audio.close()


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
