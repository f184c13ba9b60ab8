"""Streams beside whole recordings, of a model that makes no errors."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import score_streaming
from espnet_prune.data.rttm import Turn, write_rttm
from espnet_prune.diarization.inference_config import InferenceConfig
from espnet_prune.diarization.pipeline import Diarizer
from tests.diarization.scripted import scripted_model, write_script


def test_a_model_without_errors(tmp_path: Path, monkeypatch, capsys) -> None:
    said = [(0.5, 3.0, 0), (3.2, 5.0, 1), (5.4, 7.0, 0)]
    path = write_script(tmp_path / "m.wav", said, 8.0)
    (tmp_path / "wav.scp").write_text(f"m {path}\n")
    turns = [Turn("m", start + 0.0025, end - start, f"v{voice}") for start, end, voice in said]
    write_rttm(tmp_path / "rttm", {"m": turns})
    subject = Diarizer(scripted_model(), InferenceConfig())
    monkeypatch.setattr(score_streaming, "load_diarizer", lambda _: subject)
    windows = []
    run = subject.local.window
    subject.local.window = lambda samples, first: windows.append(first) or run(samples, first)
    command = ["model", str(tmp_path), "--delays", "1", "2", "--step", "0.5"]
    score_streaming.main([*command, "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert list(rows) == ["offline", "1 s", "2 s"]
    assert all(row["der"] == row["speakers_off"] == 0 for row in rows.values())
    assert len(windows) == len(set(windows)) == 8 / 0.5 - 1  # the first one ends at 1 s
    score_streaming.main(command)
    assert "| offline |" in capsys.readouterr().out
