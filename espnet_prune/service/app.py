"""The requests that are answered: a page, ``/health``, and ``/diarize``."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from espnet_prune import __version__
from espnet_prune.data import DataError, Turn
from espnet_prune.data.turn_formats import TURN_FORMATS
from espnet_prune.diarization.pipeline import Diarizer
from espnet_prune.encoder import ConfigError
from espnet_prune.encoder.typed import check_name
from espnet_prune.service.limits import Limits
from espnet_prune.service.queue import Abandoned, JobQueue, Unavailable
from espnet_prune.service.upload import FIELD, Upload, received

PAGE = Path(__file__).with_name("static") / "page.html"
RETRY_AFTER = 10
"""Seconds after which whoever found no place may come again."""


class Options(BaseModel):
    """What a request may say besides its file."""

    model_config = ConfigDict(extra="forbid")

    format: list[str] = Field(
        ["json"],
        description=f"{', '.join(TURN_FORMATS)}; of several, the answer is a JSON object of them",
    )
    num_speakers: int | None = Field(None, description="of the recording, where it is known")
    min_speakers: int | None = None
    max_speakers: int | None = None

    def applied(self, diarizer: Diarizer) -> Diarizer:
        """The diarizer under these options; ConfigError of some that there are not."""
        for name in self.format:
            check_name("a format", name, TURN_FORMATS)
        return diarizer.with_speakers(**self.model_dump(exclude={"format"}))

    def render(self, recording: str, turns: Sequence[Turn]) -> Response:
        """The answer."""
        texts = {name: TURN_FORMATS[name].render(recording, turns) for name in self.format}
        if len(texts) > 1:
            return JSONResponse(texts)
        ((name, text),) = texts.items()
        return Response(text, media_type=TURN_FORMATS[name].media_type)


def make_app(diarizer: Diarizer, limits: Limits = Limits()) -> FastAPI:  # noqa: B008
    """A service around a diarizer, for uvicorn or another ASGI server; one process of it."""
    queue = JobQueue(limits.workers, limits.waiting)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await queue.close()

    app = FastAPI(title="espnet_prune", version=__version__, lifespan=lifespan)
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Whether the service is there, and how many of its places are taken."""
        return {"status": "ok", "taken": queue.taken, "places": queue.places}

    @app.post("/diarize", response_class=Response, responses=_RESPONSES, openapi_extra=_BODY)
    async def diarize(request: Request, options: Annotated[Options, Query()]) -> Response:
        """Who spoke when in an uploaded recording."""
        bounded = options.applied(diarizer)
        with queue.place():
            async with received(request, limits) as source:
                job = partial(_diarize, bounded, source)
                turns = await queue.run(job, request.is_disconnected)
        return options.render(source.name, turns)

    return app


def _diarize(diarizer: Diarizer, source: Upload, ended: threading.Event) -> list[Turn]:
    def watch(starts: Sequence[int]) -> Iterator[int]:
        for start in starts:
            if ended.is_set():
                raise Abandoned
            yield start

    return diarizer.diarize(source, source.name, watch)


def _refusal(status: int, text: str, **headers: str) -> Response:
    return JSONResponse({"detail": text}, status, headers)


async def _refuse_values(_: Request, error: Exception) -> Response:
    return _refusal(422, str(error))


async def _refuse_options(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _refusal(422, "; ".join(map(_sentence, error.errors())))


async def _refuse_more(_: Request, error: Exception) -> Response:
    text = f"{error}; try again in {RETRY_AFTER} s"
    return _refusal(503, text, **{"Retry-After": str(RETRY_AFTER)})


async def _tell_nobody(_: Request, __: Exception) -> Response:
    return _refusal(400, "expected a client that waits, found that it has gone")


def _sentence(problem: Mapping[str, Any]) -> str:
    name, found = problem["loc"][-1], problem["input"]
    if problem["type"] == "extra_forbidden":
        return f"expected one of {', '.join(Options.model_fields)}, found {name!r}"
    expected = problem["msg"].replace("Input should be", "expected")
    return f"{name}: {expected}, found {found!r}"


_HANDLERS = {
    DataError: _refuse_values,
    ConfigError: _refuse_values,
    RequestValidationError: _refuse_options,
    Unavailable: _refuse_more,
    ClientDisconnect: _tell_nobody,
    Abandoned: _tell_nobody,
}
# What FastAPI cannot see: the form is read by hand, as it comes.
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The turns; none if nobody speaks.",
        "content": {kind.media_type: {} for kind in TURN_FORMATS.values()},
    },
    408: {"description": "The upload came to a halt."},
    413: {"description": "The upload or the recording is larger than allowed."},
    415: {"description": "The file is not audio, or the request no form."},
    422: {"description": "The audio is damaged, or an option is none that there is."},
    503: {"description": "Every place is taken; Retry-After says when to come again."},
}
