"""The cost of diarization: what is measured, what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import run_bench_diarization as bench_diarization
from benchmarks import stages
from benchmarks.audio import generate
from benchmarks.diarization import SYNTHETIC, Case, cases_of, measure
from benchmarks.results import this_setting
from benchmarks.scripted import ScriptedHead, scripted_diarizer, synthetic_speakers
from benchmarks.stages import STAGES, StageMeter, meter_stages
from espnet_prune.data.audio import AudioStream
from espnet_prune.diarization import FrameGrid
from espnet_prune.diarization.pipeline import InferenceConfig
from espnet_prune.diarization.powerset import Powerset


def test_stages_are_accounted_for_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two readings each: of what ends, and of what begins once the memory is read.
    clock, peaks = iter([0, 0, 3, 4, 6, 6, 11, 11]), iter([9.0, 5.0, 7.0, 6.0])
    monkeypatch.setattr(stages.time, "perf_counter", lambda: next(clock))

    class Peak:
        def restart(self):
            return next(peaks)

    meter = StageMeter(Peak())
    with meter.stage("outer"), meter.stage("inner"):
        pass
    assert meter.seconds == {"outer": 3 + 5, "inner": 2}
    assert meter.peaks == {"outer": 6.0, "inner": 7.0}


@pytest.mark.parametrize("slots, simultaneous", [(4, 2), (4, 1), (2, 2)])
@pytest.mark.parametrize("speakers", [1, 2, 9])
def test_the_script_is_what_is_decided(slots: int, simultaneous: int, speakers: int) -> None:
    powerset = Powerset(slots, simultaneous)
    noise = torch.randn(3, 399, powerset.num_classes, generator=torch.Generator().manual_seed(0))
    head = ScriptedHead(lambda features, lengths: noise, powerset, FrameGrid(), speakers)
    active = powerset.to_multilabel(head(noise, torch.tensor([399])))
    present = min(speakers, slots)
    assert active.any(dim=-1).all() and active[..., present:].sum() == 0
    assert all(float(share) >= 0.6 / present for share in active[0].mean(dim=0)[:present])
    assert bool((active.sum(-1) == 2).any()) == (simultaneous == 2 and present > 1)


def test_metering_changes_no_turn_and_leaves_nothing_out(tmp_path: Path) -> None:
    generate(tmp_path / "a.wav", 0.2, seed=0)
    diarizer = scripted_diarizer("whisper_tiny_en", InferenceConfig(), "cpu", seed=0)
    expected = diarizer.run(tmp_path / "a.wav").turns
    meter_stages(diarizer, meter := StageMeter())
    assert diarizer.run(tmp_path / "a.wav").turns == expected
    assert set(meter.seconds) == set(meter.cpu_seconds) == set(STAGES)
    assert all(seconds > 0 for seconds in meter.seconds.values())


def test_synthetic_speakers_are_told_apart() -> None:
    config = InferenceConfig(step=2.0, threshold=0.5)
    diarizer = scripted_diarizer("whisper_tiny_en", config, "cpu", seed=0)
    found = synthetic_speakers(diarizer, 20.0, 10, seed=0)
    assert len(found.embeddings) == found.active.sum() == 2 * len(found.activity)
    assert len(diarizer.join(found, "meeting").voices) == 10


def test_every_value_is_measured_beside_the_first_of_the_others() -> None:
    found = list(cases_of("m", [6, 60], [2, 4], [8, 1], [2, 1]))
    assert len(found) == len(set(found)) == 5
    assert found[:2] == [Case("m", 6, 2, 8, 2), Case("m", 60, 2, 8, 2)]
    assert {case.minutes for case in found[2:]} == {6}


def test_the_recording_is_as_long_as_asked(tmp_path: Path) -> None:
    generate(tmp_path / "a.wav", 0.2, seed=0)
    with AudioStream(tmp_path / "a.wav") as audio:
        assert audio.num_samples == 192000
        assert 0.01 < abs(audio.read(0, 192000)).max() < 1


def test_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    options = ["--models", "whisper_tiny_en", "--minutes", "0.3", "--speakers", "2", "--threads"]
    options += ["1", "--batch_sizes", "2", "--synthetic", "5", "--output", str(tmp_path)]
    bench_diarization.main(options)
    rows = json.loads((tmp_path / "bench_diarization.json").read_text())
    models = {"whisper_tiny_en": STAGES, SYNTHETIC: STAGES[3:]}
    assert [(row["model"], row["stage"]) for row in rows] == [
        (model, stage) for model, stages in models.items() for stage in stages
    ]
    for row in rows:
        seconds = 60 * row["minutes"]
        assert row["real_time_factor"] == pytest.approx(row["seconds"] / seconds, rel=1e-3)
        assert row["seconds"] > 0 and row["threads"] == 1 and row["batch_size"] == 2
        assert row["embeddings"] == 2 * row["windows"]
        assert row["peak_mib"] is None or row["peak_mib"] > 0
    assert rows[0]["windows"] == 14
    shown = (tmp_path / "bench_diarization.md").read_text()
    assert capsys.readouterr().out.strip() == shown.strip()
    assert "| whisper_tiny_en      | ssl       | ahc        | float32   | embedding" in shown
    assert (tmp_path / "bench_diarization.png").read_bytes().startswith(b"\x89PNG")


def test_failures_are_explained() -> None:
    setting = this_setting("cpu", 1, 0)
    with pytest.raises(ChildProcessError, match="no_model, 1 minutes"):
        measure(Case("no_model", 1, 2, 8, 1), InferenceConfig(), setting)
