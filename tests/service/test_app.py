"""What the service answers: turns in every format, and one line to whatever it does not take."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from espnet_prune.data import from_annotation
from espnet_prune.data.turn_formats import TURN_FORMATS
from espnet_prune.service import Limits, make_app
from tests.diarization.scripted import write_script
from tests.service.conftest import SCRIPT


@pytest.fixture(scope="module")
def client(diarizer):
    app = make_app(diarizer, Limits(megabytes=14))
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


def encoded(samples: np.ndarray, rate: int = 16000, kind: str = "WAV", **more) -> bytes:
    file = BytesIO()
    soundfile.write(file, samples, rate, format=kind, **more)
    return file.getvalue()


def post(client, content: bytes | Path, name: str = "m.wav", **query):
    content = content.read_bytes() if isinstance(content, Path) else content
    return client.post("/diarize", files={"file": (name, content)}, params=query)


def refusal(answer) -> str:
    """The text of a refusal: one line, with nothing of the server in it."""
    text = answer.json()["detail"]
    assert "\n" not in text and "Traceback" not in text and not re.search(r"/\w+/", text), text
    return text


@pytest.mark.parametrize("name", TURN_FORMATS)
def test_every_format(client, diarizer, wav, name):
    answer = post(client, wav, wav.name, format=name)
    kind = TURN_FORMATS[name]
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == kind.media_type
    turns = diarizer.diarize(wav, "my_meeting")
    assert len(turns) == len(SCRIPT)
    assert answer.text == kind.render("my_meeting", turns)


def test_several_formats_at_once(client, wav):
    answer = post(client, wav, format=["srt", "rttm"]).json()
    assert answer == {name: post(client, wav, format=name).text for name in ("srt", "rttm")}


@pytest.mark.parametrize("options", [{"num_speakers": 1}, {"min_speakers": 3}, {"max_speakers": 1}])
def test_numbers_of_speakers(client, diarizer, wav, options):
    expected = from_annotation(diarizer(wav, **options))
    found = post(client, wav, wav.name, format="rttm", **options).text
    assert found == TURN_FORMATS["rttm"].render("my_meeting", expected)
    assert diarizer.config.num_speakers is None


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"format": "doc"}, "expected a format of rttm, json, .*found 'doc'"),
        ({"format": ["json", ""]}, "expected a format"),
        ({"num_speakers": "two"}, "num_speakers: expected a valid integer.* found 'two'"),
        ({"num_speakers": 0}, "expected 1 speaker or more, found num_speakers 0"),
        ({"num_speakers": 2, "min_speakers": 2}, "leave one out"),
        ({"min_speakers": 3, "max_speakers": 2}, "expected 1 <= min_speakers"),
        ({"speakers": 2}, "expected one of format, num_speakers, .*found 'speakers'"),
    ],
)
def test_bad_options(client, query, text):
    answer = post(client, b"", **query)
    assert answer.status_code == 422
    assert re.search(text, refusal(answer))


SECOND = np.zeros(16000)
NOT_FINITE = encoded(np.where(np.arange(16000) == 8000, np.nan, 0.1), subtype="FLOAT")
NOT_AUDIO = {
    "text": (b"Dear all,\n", 415, "expected readable audio, found .* in m.wav"),
    "zeros": (bytes(5000), 415, "expected readable audio"),
    "nothing": (b"", 415, "expected readable audio"),
    "page": (b"<!doctype html>", 415, "expected readable audio"),
    "no samples": (encoded(SECOND[:0]), 415, "expected samples, found 0"),
    "cut": (encoded(SECOND)[:9000], 415, "the file is truncated"),
    "cut FLAC": (encoded(np.random.rand(16000), kind="FLAC")[:9000], 422, "truncated or corrupt"),
    "NaN": (NOT_FINITE, 422, r"found NaN or infinity at 0.500 s in m.wav"),
    "rate": (encoded(SECOND, 100), 415, "expected a sampling rate"),
    "two hours": (
        encoded(np.zeros(7201 * 1000, dtype=np.int16), 1000, "FLAC"), 413,
        r"expected a recording of 120 min or less, found 120.0 min",
    ),
    "size": (bytes(14_000_000), 413, "expected an upload of 14 MB or less, found more"),
}  # fmt: skip


@pytest.mark.parametrize("kind", NOT_AUDIO)
def test_bad_files(client, kind):
    content, status, text = NOT_AUDIO[kind]
    answer = post(client, content)
    assert (answer.status_code, bool(re.search(text, refusal(answer)))) == (status, True), answer
    assert client.get("/health").json()["taken"] == 0


def test_unusual_files(client, tmp_path):
    """Short and silent ones are no error; rates and channels are of no account."""
    for samples in (SECOND[:1600], SECOND, SECOND[:1]):
        assert post(client, encoded(samples)).json()["turns"] == []
    path = write_script(tmp_path / "a.wav", SCRIPT, 7.0)
    expected = post(client, path).json()["turns"]
    many = np.repeat(soundfile.read(path, always_2d=True)[0], 40, axis=1)
    files = [write_script(tmp_path / f"{r}.flac", SCRIPT, 7.0, r, 2) for r in (8000, 48000)]
    for file in (*files, encoded(many)):
        found = post(client, file).json()["turns"]
        assert [turn["speaker"] for turn in found] == ["spk0", "spk1", "spk0"]
        for turn, other in zip(found, expected, strict=True):
            assert abs(turn["start"] - other["start"]) < 0.1 > abs(turn["end"] - other["end"])


@pytest.mark.parametrize(
    ("name", "recording"),
    [("../../etc/a b.wav", "a_b"), (" .wav", "upload"), ("", None), ("\u2028é.flac", "é"),
     ("C:\\a.wav", "a"), ("x" * 400, "x" * 400)],
)  # fmt: skip
def test_names(client, wav, name, recording):
    answer = post(client, wav, name)
    if recording is None:  # a field that is no file
        assert answer.status_code == 422 and "found file" in refusal(answer)
    else:
        assert answer.json()["recording"] == recording


BOUNDARY = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="m.wav"\r\n\r\nabc'


@pytest.mark.parametrize(
    ("kind", "body", "status", "text"),
    [
        (None, b"abc", 415, "expected multipart/form-data, found nothing"),
        ("audio/wav", b"abc", 415, "expected multipart/form-data, found audio/wav"),
        ("multipart/form-data", b"abc", 422, "Missing boundary"),
        (BOUNDARY, b"abc", 422, "expected a form with one file"),
        (BOUNDARY, b"", 422, "found no whole field"),
        (BOUNDARY, PART % b"file", 422, "found no whole field"),
        (BOUNDARY, PART % b"audio" + b"\r\n--b--\r\n", 422, "found audio"),
        (BOUNDARY, (PART % b"file" + b"\r\n") * 2 + b"--b--\r\n", 422, "Too many files"),
    ],
)
def test_bad_forms(client, kind, body, status, text):
    headers = {"content-type": kind} if kind else {}
    answer = client.post("/diarize", content=body, headers=headers)
    assert (answer.status_code, bool(re.search(text, refusal(answer)))) == (status, True), answer
    assert "curl -F file=@meeting.wav" in refusal(answer)


def test_a_full_disk(client, wav, monkeypatch):
    def write(*_):
        raise OSError(28, "No space left on device", "/secret/place")

    monkeypatch.setattr("starlette.datastructures.UploadFile.write", write)
    answer = post(client, wav)
    assert answer.status_code == 503
    assert "expected room for the upload, found 'No space left on device'" in refusal(answer)


def test_a_mistake_of_ours_tells_nothing(client, wav, monkeypatch):
    def fail(*_):
        raise RuntimeError("/secret/place")

    monkeypatch.setattr("espnet_prune.service.app._diarize", fail)
    answer = post(client, wav)
    assert answer.status_code == 500 and "secret" not in answer.text
    assert client.get("/health").json()["taken"] == 0


def test_the_interface_is_described(client):
    described = client.get("/openapi.json").json()["paths"]["/diarize"]["post"]
    (form,) = described["requestBody"]["content"].values()
    assert form["schema"]["properties"]["file"]["format"] == "binary"
    assert {"200", "408", "413", "415", "422", "503"} <= {*described["responses"]}
    names = {parameter["name"] for parameter in described["parameters"]}
    assert names == {"format", "num_speakers", "min_speakers", "max_speakers"}
