"""The service on a port: queues, uploads that end or stall, clients that leave, shutdown."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import httpx

from tests.diarization.scripted import write_script
from tests.service.conftest import SCRIPT, running

HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="m.wav"\r\n\r\n'
REQUEST = (
    b"POST /diarize HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b"Content-Length: %d\r\n\r\n"
)


def post(address: str, wav: Path, **query) -> httpx.Response:
    files = {"file": (wav.name, wav.read_bytes())}
    return httpx.post(f"{address}/diarize", files=files, params=query, timeout=60)


def taken(address: str) -> int:
    return httpx.get(f"{address}/health").json()["taken"]


def soon(condition: Callable[[], bool]) -> bool:
    """Whether it comes true within ten seconds."""
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


def connect(address: str) -> socket.socket:
    url = httpx.URL(address)
    return socket.create_connection((url.host, url.port))


def removed_files() -> int:
    """Files without a name that this process has open."""
    links = (os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))
    return sum("/tmp" in link and "(deleted)" in link for link in links)


def test_uploads_at_once_are_as_one_after_another(diarizer, wav, tmp_path):
    scripts = [SCRIPT[:count] for count in (1, 2, 3)]
    wavs = [write_script(tmp_path / f"{n}.wav", SCRIPT[:n], 7.0) for n in range(1, 4)] * 2
    with running(diarizer, workers=2) as address, ThreadPoolExecutor(len(wavs)) as pool:
        alone = [post(address, path).json() for path in wavs]
        assert [len(each["turns"]) for each in alone] == [len(script) for script in scripts] * 2
        together = pool.map(lambda path: post(address, path).json(), wavs)
        assert list(together) == alone


def test_a_full_queue(gate, wav):
    with (
        running(gate.diarizer, workers=1, waiting=1) as address,
        ThreadPoolExecutor(2) as pool,
    ):
        accepted = [pool.submit(post, address, wav) for _ in range(2)]
        assert soon(lambda: taken(address) == 2)
        refused = post(address, wav)
        assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0
        assert refused.json()["detail"].startswith("expected a free place, found all 2 taken")
        gate.encoder.gate.set()
        assert [len(each.result().json()["turns"]) for each in accepted] == [len(SCRIPT)] * 2
        assert taken(address) == 0
        assert post(address, wav).status_code == 200


def test_whoever_leaves_gives_the_place_back(gate, wav):
    """The one that runs stops at its next window; the one that waits never begins."""
    body = HEAD + wav.read_bytes() + b"\r\n--b--\r\n"
    with running(gate.diarizer, workers=1, waiting=1) as address:
        with connect(address) as runs, connect(address) as waits:
            for client in (runs, waits):
                client.sendall(REQUEST % len(body) + body)
                assert gate.encoder.entered.wait(30)
            assert soon(lambda: taken(address) == 2)
        assert soon(lambda: taken(address) == 1)  # a window cannot be interrupted
        gate.encoder.gate.set()
        assert soon(lambda: taken(address) == 0)
        assert gate.encoder.heard == [1]
        assert post(address, wav).status_code == 200


@pytest.mark.parametrize("sent", [0, 100, 2_000_000])
def test_an_upload_that_ends_early(diarizer, wav, sent, capfd):
    """Nothing is left of it: no place, no file, no traceback."""
    before = removed_files()
    with running(diarizer, workers=1, waiting=0) as address:
        with connect(address) as client:
            client.sendall(REQUEST % 3_000_000 + HEAD + bytes(sent))
            assert soon(lambda: taken(address) == 1)
            assert sent < 1_000_000 or soon(lambda: removed_files() > before)
        assert soon(lambda: taken(address) == 0)
        assert removed_files() == before
        assert post(address, wav).status_code == 200
    assert "Traceback" not in "".join(capfd.readouterr())


def test_an_upload_that_comes_to_a_halt(diarizer):
    with running(diarizer, patience=0.2) as address, connect(address) as client:
        client.sendall(REQUEST % 3_000_000 + HEAD)
        assert client.recv(1000).startswith(b"HTTP/1.1 408 ")
        assert taken(address) == 0


def test_too_large_an_upload_is_not_read_on(diarizer, wav):
    """With a length it is refused at once, without one where it gets too long."""
    with running(diarizer, megabytes=1) as address:
        with connect(address) as client:
            client.sendall(REQUEST % 10**12 + HEAD)
            assert client.recv(1000).startswith(b"HTTP/1.1 413 ")
        with connect(address) as client:
            length, chunked = b"Content-Length: 0", b"Transfer-Encoding: chunked"
            client.sendall((REQUEST % 0).replace(length, chunked))
            for chunk in (HEAD, bytes(600_000), bytes(600_000)):
                client.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            assert client.recv(1000).startswith(b"HTTP/1.1 413 ")
        assert taken(address) == 0
        # A client that sends all before it listens hears of it, too.
        assert httpx.post(f"{address}/diarize", files={"file": bytes(9_000_000)}).status_code == 413


def test_running_requests_end_before_the_service(gate, wav):
    with ThreadPoolExecutor(1) as pool:
        with running(gate.diarizer) as address:
            answer = pool.submit(post, address, wav)
            assert gate.encoder.entered.wait(30)
            threading.Timer(0.5, gate.encoder.gate.set).start()
        assert len(answer.result().json()["turns"]) == len(SCRIPT)
        with pytest.raises(httpx.TransportError):
            taken(address)


def test_requests_that_take_too_long_are_broken_off(gate, wav, capfd):
    with ThreadPoolExecutor(2) as pool:
        with running(gate.diarizer, grace=1) as address:
            answers = [pool.submit(post, address, wav) for _ in range(2)]
            assert gate.encoder.entered.wait(30)
            assert soon(lambda: taken(address) == 2)
            threading.Timer(2, gate.encoder.gate.set).start()
        assert gate.encoder.heard == [1]
        for answer in answers:
            assert "the service is ending" in answer.result().json()["detail"]
    assert "Traceback" not in "".join(capfd.readouterr())
