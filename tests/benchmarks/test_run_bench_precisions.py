"""One model in two runtimes and two precisions: float32 alike, int8 smaller, one table."""

import json
import os

import pytest
import torch

from benchmarks import run_bench_precisions
from benchmarks.run_bench_precisions import PrecisionRow
from espnet_prune.bin import make_windows
from espnet_prune.data.rttm import Turn, write_rttm
from espnet_prune.diarization.head import DiarizationConfig, HeadConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import Featurizer
from tests.encoders import random_encoder, tiny_config
from tests.export.meeting import MEETING, SECONDS, write_meeting


@pytest.mark.slow
def test_two_runtimes_and_two_precisions(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None)
    threads = torch.get_num_threads()
    write_meeting(tmp_path / "m.wav")
    turns = [Turn("m", start, end - start, str(voice)) for start, end, voice in MEETING]
    write_rttm(tmp_path / "rttm", {"m": turns})
    (tmp_path / "wav.scp").write_text(f"m {tmp_path / 'm.wav'}\n")
    (tmp_path / "uem").write_text(f"m 1 0 {SECONDS}\n")
    make_windows.main([str(tmp_path), "--window_shift", "4"])
    config = DiarizationConfig(HeadConfig(16, 1, 2, 16, 3), 3, 2, window_size=8.0)
    model = DiarizationModel(Featurizer(random_encoder(tiny_config("whisper", "own"))), config)
    model.save_pretrained(tmp_path / "model")
    options = ["--rounds", "1", "--output", str(tmp_path / "out")]
    run_bench_precisions.main([str(tmp_path / "model"), str(tmp_path / "windows"), *options])
    torch.set_num_threads(threads)
    rows = [PrecisionRow(**row) for row in
            json.loads((tmp_path / "out/bench_precisions.json").read_text())]  # fmt: skip
    assert [(row.runtime, row.precision) for row in rows] == [
        ("PyTorch", "float32"), ("PyTorch", "int8"),
        ("ONNX Runtime", "float32"), ("ONNX Runtime", "int8"),
    ]  # fmt: skip
    float32, int8, onnx, _ = rows
    assert onnx.units["m"][1] == float32.units["m"][1] > 0
    assert abs(onnx.units["m"][0] - float32.units["m"][0]) <= 2  # a tie may fall to either side
    assert int8.megabytes < float32.megabytes
    assert "ONNX Runtime" in capsys.readouterr().out
