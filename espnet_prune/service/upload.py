"""The file of a request, no larger than allowed, for as long as it is needed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from espnet_prune.data import DataError
from espnet_prune.data.audio.files import Audio
from espnet_prune.data.audio.names import recording_name
from espnet_prune.data.audio.sources import OpenFileSource
from espnet_prune.service.limits import Limits
from espnet_prune.service.queue import Unavailable

FIELD = "file"
_FORM = "multipart/form-data"
_REMEDY = f"send the recording as `curl -F {FIELD}=@meeting.wav` does"


@dataclass(frozen=True)
class Upload:
    """An uploaded file, as an :class:`~espnet_prune.data.audio.AudioSource`."""

    file: UploadFile
    minutes: float
    """That it may last at most."""

    @property
    def name(self) -> str:
        """That of the file, without blanks and its suffix."""
        return recording_name(str(self)) or "upload"

    def __str__(self) -> str:
        return self.file.filename or "the upload"

    def open(self) -> Audio:
        """Open it from its beginning; the caller closes it.

        Raises:
            HTTPException: 413, it lasts too long; 415, it cannot be opened as audio.
        """
        try:
            audio = OpenFileSource(self.file.file, str(self)).open()
        except DataError as error:
            raise HTTPException(415, str(error)) from error
        if (seconds := audio.frames / audio.samplerate) > 60 * self.minutes:
            audio.close()
            raise HTTPException(
                413, f"expected a recording of {self.minutes:g} min or less, found "
                f"{seconds / 60:.1f} min in {self}; send it in parts"
            )  # fmt: skip
        return audio


@contextlib.asynccontextmanager
async def received(request: Request, limits: Limits) -> AsyncIterator[Upload]:
    """The file of a request, during the ``async with`` block.

    It lies in memory or, above a megabyte, in a file without a name, which the system removes
    however this process ends.

    Raises:
        HTTPException: 408, nothing comes any more; 413, it is too large; 415, the request is no
            form; 422, the form has no file or is cut off.
        Unavailable: the disk is full.
        ClientDisconnect: the upload ended early.
    """
    found = request.headers.get("content-type", "nothing")
    if found.partition(";")[0].strip().lower() != _FORM:
        raise HTTPException(415, f"expected {_FORM}, found {found}; {_REMEDY}")
    stream = _bounded(request, limits)
    try:
        form = await MultiPartParser(request.headers, stream, max_files=1).parse()
    except MultiPartException as error:
        problem = error.message.rstrip(".")
        raise HTTPException(
            422, f"expected a form with one file, found that it has not ({problem}); {_REMEDY}"
        ) from error
    except OSError as error:
        raise Unavailable(f"expected room for the upload, found {error.strerror!r}") from error
    finally:
        await stream.aclose()
    try:
        file = form.get(FIELD)
        if not isinstance(file, UploadFile):
            fields = ", ".join(form) or "no whole field"
            raise HTTPException(
                422, f"expected a file in the field `{FIELD}`, found {fields}; {_REMEDY}"
            )
        yield Upload(file, limits.minutes)
    finally:
        await form.close()


async def _bounded(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    """The body of the request as it comes."""
    missing = limits.megabytes * 1e6
    refusal = HTTPException(
        413,
        f"expected an upload of {limits.megabytes:g} MB or less, found more; send the recording "
        "compressed (FLAC, Opus) or in parts",
    )
    if int(request.headers.get("content-length", 0)) > missing:
        raise refusal
    body = request.stream()
    while True:
        try:
            chunk = await asyncio.wait_for(anext(body), limits.patience)
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError:
            raise HTTPException(
                408, f"expected more of the upload within {limits.patience:g} s, found nothing; "
                "send it again"
            ) from None  # fmt: skip
        missing -= len(chunk)
        if missing < 0:
            raise refusal
        yield chunk
