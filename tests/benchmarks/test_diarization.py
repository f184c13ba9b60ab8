"""The cost of diarization: what is measured, what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import diarization
from benchmarks import run_bench_diarization as bench_diarization
from benchmarks.diarization import STAGES, ScriptedHead, StageMeter, generate, measure
from benchmarks.results import this_setting
from espnet_prune.data.audio import AudioStream
from espnet_prune.diarization import FrameGrid
from espnet_prune.diarization.pipeline import InferenceConfig
from espnet_prune.diarization.powerset import Powerset


def test_stages_are_accounted_for_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two readings each: of what ends, and of what begins once the memory is read.
    clock, peaks = iter([0, 0, 3, 4, 6, 6, 11, 11]), iter([9.0, 5.0, 7.0, 6.0])
    monkeypatch.setattr(diarization.time, "perf_counter", lambda: next(clock))

    class Peak:
        def restart(self):
            return next(peaks)

    meter = StageMeter(Peak())
    with meter.stage("outer"), meter.stage("inner"):
        pass
    assert meter.seconds == {"outer": 3 + 5, "inner": 2}
    assert meter.peaks == {"outer": 6.0, "inner": 7.0}


@pytest.mark.parametrize("slots, simultaneous", [(4, 2), (4, 1), (2, 2)])
def test_the_script_is_what_is_decided(slots: int, simultaneous: int) -> None:
    powerset = Powerset(slots, simultaneous)
    noise = torch.randn(3, 399, powerset.num_classes, generator=torch.Generator().manual_seed(0))
    scores = ScriptedHead(lambda features, lengths: noise, powerset, FrameGrid())(
        noise, torch.tensor([399])
    )
    active = powerset.to_multilabel(scores)
    assert active.any(dim=-1).all() and active[..., 2:].sum() == 0
    assert all(float(share) > 0.3 for share in active[0].mean(dim=0)[:2])
    assert bool((active.sum(-1) == 2).any()) == (simultaneous == 2)


def test_the_recording_is_as_long_as_asked(tmp_path: Path) -> None:
    generate(tmp_path / "a.wav", 0.2, seed=0)
    with AudioStream(tmp_path / "a.wav") as audio:
        assert audio.num_samples == 192000
        assert 0.01 < abs(audio.read(0, 192000)).max() < 1


def test_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    options = ["--models", "whisper_tiny_en", "--minutes", "0.3", "--threads", "1"]
    bench_diarization.main([*options, "--output", str(tmp_path)])
    rows = json.loads((tmp_path / "bench_diarization.json").read_text())
    assert [row["stage"] for row in rows] == list(STAGES)
    for row in rows:
        assert row["real_time_factor"] == pytest.approx(row["seconds"] / 18, rel=1e-3)
        assert row["windows"] == 14 and row["embeddings"] == 28
        assert row["peak_mib"] is None or row["peak_mib"] > 0
    assert rows[0]["seconds"] > 0 and rows[1]["seconds"] > 0
    shown = (tmp_path / "bench_diarization.md").read_text()
    assert capsys.readouterr().out.strip() == shown.strip()
    assert "| whisper_tiny_en | ssl       | ahc        | embedding" in shown


def test_failures_are_explained() -> None:
    setting = this_setting("cpu", 1, 0)
    with pytest.raises(ChildProcessError, match="no_model, 1 minutes"):
        measure("no_model", 1, InferenceConfig(), setting)
