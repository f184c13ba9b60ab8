"""Load on a service in this process: nothing but right answers and refusals, whoever comes."""

from __future__ import annotations

import os

from benchmarks.memory import peak_mib
from benchmarks.run_load import ask, load
from espnet_prune import Diarizer
from tests.diarization.scripted import scripted_model, write_script
from tests.service.conftest import SCRIPT, running


def test_more_clients_than_places(tmp_path):
    audio = write_script(tmp_path / "a.flac", SCRIPT, 7.0).read_bytes()
    with running(Diarizer(scripted_model()), workers=1, waiting=1) as address:
        alone = ask(address, audio)
        assert alone.status == 200 and alone.text.count("SPEAKER load 1") == len(SCRIPT)
        before = peak_mib(os.getpid())
        answers = load(address, audio, clients=6, seconds=0.5, pause=0.05)
        # Six at once, all refused but two, and each as soon as it comes.
        assert {answer.status for answer in answers} == {200, 503}
        assert {answer.text for answer in answers if answer.status == 200} == {alone.text}
        assert peak_mib(os.getpid()) < before + 100
        assert ask(address, audio).text == alone.text
