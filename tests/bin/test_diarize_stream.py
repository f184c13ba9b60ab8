"""Raw audio through a pipe."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from espnet_prune.bin import diarize_stream
from espnet_prune.data import read_rttm
from espnet_prune.data.rttm import rttm_lines
from espnet_prune.diarization.inference_config import InferenceConfig
from espnet_prune.diarization.pipeline import Diarizer
from tests.diarization.scripted import scripted_model
from tests.diarization.test_streaming import TALK, script

SAMPLES = (script(TALK, 4.0) * 2**15).astype("<i2")


@pytest.fixture
def diarizer(monkeypatch) -> Diarizer:
    subject = Diarizer(scripted_model(), InferenceConfig())
    monkeypatch.setattr(diarize_stream, "load_diarizer", lambda _: subject)
    return subject


@pytest.fixture
def stdin(monkeypatch):
    """A pipe that the command reads: where to write to."""
    reader, writer = os.pipe()
    with open(reader) as file, open(writer, "wb", buffering=0) as pipe:
        monkeypatch.setattr("sys.stdin", file)
        yield pipe


def feed(pipe, *parts: bytes) -> threading.Thread:
    def write() -> None:
        for part in parts:
            pipe.write(part)
        pipe.close()

    thread = threading.Thread(target=write)
    thread.start()
    return thread


@pytest.mark.parametrize("cut", [0, 1, 6001])
def test_turns_of_raw_audio(diarizer, stdin, capsys, tmp_path, cut: int) -> None:
    data = SAMPLES.tobytes()
    thread = feed(stdin, data[:cut], data[cut:])
    diarize_stream.main(["model", "--delay", "1", "--recording", "m"])
    thread.join()
    told = capsys.readouterr().out
    stream = diarizer.stream(delay=1.0, recording="m")
    turns = list(stream.follow([SAMPLES]))
    assert told.splitlines() == [line for turn in turns for line in rttm_lines({"m": [turn]})]
    (tmp_path / "m.rttm").write_text(told)
    assert len(read_rttm(tmp_path / "m.rttm")["m"]) == len(turns) == 3


def test_ctrl_c_ends_the_recording_not_the_result(diarizer, stdin, capsys, monkeypatch) -> None:
    before = signal.getsignal(signal.SIGINT)
    stdin.write(SAMPLES[:32000].tobytes())  # as many bytes as a pipe holds
    read = os.read

    def interrupted(*args) -> bytes:
        if signal.getsignal(signal.SIGINT) is not before:
            signal.raise_signal(signal.SIGINT)
            return bytes(640)  # of a source that goes on
        return read(*args)

    monkeypatch.setattr(diarize_stream.os, "read", interrupted)
    diarize_stream.main(["model"])
    assert capsys.readouterr().out.count("SPEAKER stream") == 2
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("head", [b"RIFF\x24\0\0\0WAVE", b"fLaC", b"OggS"])
def test_files_with_a_header_are_refused(diarizer, stdin, capsys, head: bytes) -> None:
    feed(stdin, head + bytes(100))
    with pytest.raises(SystemExit) as end:
        diarize_stream.main(["model"])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("diarize_stream: expected raw samples, found the h")


def test_nothing_comes(diarizer, stdin, capsys) -> None:
    stdin.close()
    diarize_stream.main(["model"])
    assert capsys.readouterr().out == ""


def test_a_terminal_is_refused(stdin, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with pytest.raises(SystemExit, match="expected samples on standard input, found a terminal"):
        diarize_stream.main(["model"])


@pytest.mark.parametrize(
    "options, message",
    [
        (["--delay", "0.01"], "expected a delay of"),
        (["--rate", "100"], "expected a sampling rate of"),
        (["--delay", "-1"], "expected a number of 0 or more"),
    ],
)
def test_bad_options(diarizer, stdin, capsys, options, message: str) -> None:
    with pytest.raises(SystemExit):
        diarize_stream.main(["model", *options])
    assert message in capsys.readouterr().err


def test_a_model_that_is_not_there(stdin) -> None:
    with pytest.raises(SystemExit, match="expected .*, a folder"):
        diarize_stream.main(["nowhere/at/all"])
