"""A service in this process whose model says what the audio dictates."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import uvicorn

from espnet_prune import Diarizer
from espnet_prune.diarization.pipeline import InferenceConfig
from espnet_prune.service import Limits, make_app
from tests.diarization.scripted import ScriptedEncoder, scripted_model, write_script

SCRIPT = [(0.5, 2.0, 0), (1.5, 4.0, 1), (5.0, 6.0, 0)]


class Gated(ScriptedEncoder):
    """An encoder that stands still while its gate is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.entered = threading.Event(), threading.Event()
        self.heard: list[int] = []  # windows at a time

    def stream(self, wavs, lengths=None):
        self.heard.append(len(wavs))
        self.entered.set()
        assert self.gate.wait(30)
        return super().stream(wavs, lengths)


class Gate(NamedTuple):
    """A diarizer that hears a window at a time, and its encoder."""

    diarizer: Diarizer
    encoder: Gated


@pytest.fixture(scope="session")
def diarizer() -> Diarizer:
    return Diarizer(scripted_model(), InferenceConfig(step=0.5))


@pytest.fixture
def gate() -> Iterator[Gate]:
    model = scripted_model()
    model.featurizer.encoder = encoder = Gated()
    yield Gate(Diarizer(model, InferenceConfig(step=0.5, batch_size=1)), encoder)
    encoder.gate.set()


@pytest.fixture(scope="session")
def wav(tmp_path_factory) -> Path:
    """A recording whose turns are those of SCRIPT."""
    return write_script(tmp_path_factory.mktemp("audio") / "my meeting.wav", SCRIPT, 7.0)


@contextlib.contextmanager
def running(diarizer: Diarizer, grace: int = 20, **limits: float) -> Iterator[str]:
    """The address of a service."""
    app = make_app(diarizer, Limits(**limits))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=grace)
        )
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
