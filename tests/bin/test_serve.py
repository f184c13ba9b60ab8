"""The command: as the page has it, and refused with one line."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from espnet_prune.bin import serve
from tests.diarization.scripted import write_script
from tests.export.models import make

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "places" / "service.md").read_text()
COMMANDS = re.findall(r"^    (.+)$", PAGE, re.MULTILINE)


def refusal(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        serve.main([*arguments])
    assert end.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_the_dockerfile_has_the_commands_of_the_page():
    steps = (ROOT / "Dockerfile").read_text()
    (install,) = re.findall(r"^RUN (.+)$", steps, re.MULTILINE)
    (start,) = re.findall(r"^CMD (.+)$", steps, re.MULTILINE)
    _, container = PAGE.split("## In a container")
    assert re.findall(r"^    (pip.*|espnet-prune .*)$", container, re.MULTILINE) == [
        install, shlex.join(json.loads(start))
    ]  # fmt: skip


def test_a_missing_package_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'espnet_prune[serve]'" in refusal(capsys, "anything")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("model", "--port", "70000"), "expected .*65535.*found '70000'"),
        (("model", "--workers", "0"), "expected a whole number above 0, found '0'"),
        (("model", "--waiting", "-1"), "--waiting"),
        (("model", "--host", "no.such.host.invalid"), "serve: .*no.such.host.invalid"),
        (("no/such/model", "--port", "0"), "serve: .*no/such/model"),
    ],
)
def test_bad_options(capsys, arguments, text):
    assert re.search(text, refusal(capsys, *arguments))


def test_a_taken_port(capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert "ddress already in use" in refusal(capsys, "model", "--port", port)


def test_the_page_runs(tmp_path):
    """The service that the page starts answers what the page asks, and ends when told to."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    start = next(line for line in COMMANDS if line.startswith("espnet-prune serve"))
    make("diarizer-whisper").save_pretrained(tmp_path / "model")
    words = start.replace("exp/pruned", str(tmp_path / "model")).split()[1:]
    write_script(tmp_path / "meeting.flac", [(0.5, 2.0, 0)], 3.0)
    command = [sys.executable, "-m", "espnet_prune.bin", *words, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        log = []
        for line in process.stderr:
            log.append(line)
            if "startup complete" in line:
                break
        (address,) = re.findall(r"http://\S+", "".join(log))
        answers = [
            subprocess.run(
                line.replace("http://127.0.0.1:8000", address), shell=True, check=True,
                cwd=tmp_path, capture_output=True, text=True,
            ).stdout
            for line in COMMANDS if line.startswith("curl")
        ]  # fmt: skip
        process.send_signal(signal.SIGTERM)
        log += process.stderr.readlines()
        process.wait(60)
    turns, subtitles, health = answers
    assert json.loads(turns)["recording"] == "meeting"
    assert subtitles.count("-->") == len(json.loads(turns)["turns"])
    assert health.replace(",", ", ").replace(":", ": ") in PAGE.replace("`", "")
    assert process.returncode == -signal.SIGTERM and "Traceback" not in "".join(log)
