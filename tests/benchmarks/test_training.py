"""The cost of a training step: what is computed, what is reckoned, what is written."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from benchmarks import run_bench_training as bench_training
from benchmarks import steps, training
from benchmarks.public_ways import WAYS, Attention
from benchmarks.results import Input, this_setting
from benchmarks.steps import BASELINE, STEPS, make_steps, peak_of_step, steps_of
from espnet_prune.distillation import LayerwiseDistillation
from espnet_prune.espnet.teacher import TeacherCache
from espnet_prune.pruning import HardConcreteGates, Pruner
from tests.encoders import tiny_config

SHORT = Input(1, 0.1)


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_each_step_computes_what_its_name_says(monkeypatch: pytest.MonkeyPatch) -> None:
    called: Counter = Counter()

    def count(owner, name):
        original = getattr(owner, name)

        def counted(self, *args, **more):
            called[f"{owner.__name__}.{name}"] += 1
            return original(self, *args, **more)

        monkeypatch.setattr(owner, name, counted)

    count(Pruner, "penalty")
    count(HardConcreteGates, "run")
    count(LayerwiseDistillation, "forward")
    count(Attention, "forward")
    count(TeacherCache, "_write")
    config = tiny_config(layers=tiny_config().layers[:1] * 3)
    monkeypatch.setattr(steps, "PRESETS", {"tiny": lambda: config})
    names = steps_of("tiny", "cpu")
    assert {*WAYS, BASELINE} < {*names} <= {*STEPS}
    for name, step in make_steps("tiny", names, SHORT, this_setting("cpu", 1, 0)).items():
        for first in (True, False):
            called.clear()
            step()
            if name in WAYS:
                assert called == {"Attention.forward": 2 * len(config.layers)}
                continue
            expected = {"Pruner.penalty", "HardConcreteGates.run"} if STEPS[name].gated else set()
            expected |= {"LayerwiseDistillation.forward"} if STEPS[name].teacher else set()
            expected |= {"TeacherCache._write"} if STEPS[name].cached and first else set()
            assert called == dict.fromkeys(expected, 1)


def test_what_a_model_or_a_device_has_not_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def left_out(model: str) -> set[str]:
        return {*STEPS} - {*steps_of(model, "cpu")}

    monkeypatch.setattr("benchmarks.implementations.has_instructions", lambda _: True)
    assert not left_out("wavlm_base_plus")
    assert left_out("hubert_base") == {"DiariZen's way"}
    assert left_out("whisper_tiny_en") == {*WAYS}
    monkeypatch.setattr("benchmarks.implementations.has_instructions", lambda _: False)
    assert left_out("wavlm_large") == {name for name in STEPS if "bfloat16" in name}


def test_the_peak_holds_weights_and_gradients() -> None:
    found = peak_of_step("whisper_tiny_en", "student alone", SHORT, this_setting("cpu", 1, 0))
    assert found is None or 2 * 7.6 * 4 < found < 900


def test_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, on_cpu) -> None:
    monkeypatch.setattr(training, "peak_of_step", lambda model, name, *_: float(len(name)))
    options = ["--models", "whisper_tiny_en", "--inputs", "1x0.1", "2x0.1", "--rounds", "2"]
    bench_training.main([*options, "--output", str(tmp_path)])
    rows = json.loads((tmp_path / "bench_training.json").read_text())
    names = steps_of("whisper_tiny_en", "cpu")
    assert [(row["step"], row["batch"]) for row in rows] == [(n, b) for b in (1, 2) for n in names]
    for row in rows:
        assert row["cost"] == max(row["cost_minima"], row["cost_medians"]) > 0 < row["milliseconds"]
        assert row["peak_mib"] == len(row["step"]) and row["rounds"] == 2
        assert row["step"] != BASELINE or row["cost"] == 1.0
    shown = (tmp_path / "bench_training.md").read_text()
    assert capsys.readouterr().out.strip() == shown.strip()
    assert "| whisper_tiny_en | 2 x 0.1 s | student alone" in shown


def test_a_bad_input_is_explained(tmp_path: Path, on_cpu) -> None:
    with pytest.raises(SystemExit, match="bench_training: expected an input such as 4x8"):
        bench_training.main(["--inputs", "8", "--output", str(tmp_path)])


def test_a_step_that_fails_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path, on_cpu) -> None:
    monkeypatch.setattr(steps, "__name__", "benchmarks.missing")
    with pytest.raises(SystemExit, match="(?s)whisper_tiny_en, student alone: .*No module named"):
        bench_training.main(["--models", "whisper_tiny_en", "--output", str(tmp_path)])
