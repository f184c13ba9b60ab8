"""The command compares what it is asked to, keeps what is finished, and says what is wrong."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import implementations, options
from benchmarks import run_bench as bench
from benchmarks.implementations import OURS, TRAINING_FORM
from benchmarks.results import Row
from espnet_prune.encoder import PRESETS, SSLConfig, TransformerLayerConfig
from espnet_prune.inference.linear import has_instructions
from tests.encoders import random_encoder, tiny_config

ROOT = Path(__file__).parents[2]


def tiny_dense() -> SSLConfig:
    return tiny_config(layers=(TransformerLayerConfig((0, 1, 2, 3), 24),) * 3)


@pytest.fixture(autouse=True)
def tiny_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dense preset and its pruned shape, of a few thousand parameters, on the CPU."""
    monkeypatch.setitem(PRESETS, "tiny", tiny_dense)
    monkeypatch.setitem(PRESETS, "tiny_s80", tiny_config)
    monkeypatch.setattr(options, "DENSE", [*options.DENSE, "tiny"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Compare these implementations alone."""
    kept = {name: implementations.IMPLEMENTATIONS[name] for name in names}
    monkeypatch.setattr(implementations, "IMPLEMENTATIONS", kept)


def found_in(folder: Path) -> list[dict]:
    return json.loads((folder / "bench.json").read_text())


@pytest.mark.filterwarnings("ignore")
def test_everything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    only(monkeypatch, "torchaudio", OURS)
    options = ["--inputs", "2x0.1", "1x0.1", "--precisions", "float32", "--rounds", "2"]
    bench.main(["--models", "tiny", *options, "--threads", "1", "--output", str(tmp_path)])
    rows = found_in(tmp_path)
    assert [(row["model"], row["implementation"], row["batch"]) for row in rows] == [
        (model, implementation, batch)
        for batch in (1, 2)
        for model, implementation in (("tiny", "torchaudio"), ("tiny", OURS), ("tiny_s80", OURS))
    ]
    for row in rows:
        assert row["error"] < 1e-5 and row["milliseconds"] > 0 and row["seconds"] == 0.1
        assert (row["rounds"], row["threads"], row["device"]) == (2, 1, "cpu")
    shown = capsys.readouterr().out.strip()
    assert shown == (tmp_path / "bench.md").read_text().strip()
    assert "## tiny, 2 x 0.1 s" in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bench.json", "bench.md", "bench.png"
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_implementation(tmp_path: Path) -> None:
    bench.main(
        ["--models", "tiny", "--inputs", "1x0.1", "--rounds", "1", "--output", str(tmp_path)]
    )
    rows = found_in(tmp_path)
    peers = {"torchaudio", "transformers", "s3prl", "onnxruntime", TRAINING_FORM, OURS}
    assert {row["implementation"] for row in rows if row["model"] == "tiny"} == peers
    assert {row["precision"] for row in rows} == {"float32", "bfloat16", "int8"}


def test_an_interrupted_run_keeps_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")

    def compare(model, inputs, precisions, setting, *_) -> Iterator[list[Row]]:
        for input in inputs[:2]:
            yield [row(setting, model, input)]
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "compare", compare)
    with pytest.raises(SystemExit, match="130"):
        bench.main(["--models", "tiny", "--output", str(tmp_path)])
    assert [(each["batch"], each["seconds"]) for each in found_in(tmp_path)] == [(1, 8), (4, 8)]
    assert "## tiny, 4 x 8 s" in (tmp_path / "bench.md").read_text()


def row(setting, model: str, input) -> Row:
    numbers = dict.fromkeys(
        ("milliseconds", "milliseconds_min", "speedup", "speedup_minima",
         "speedup_medians", "load_min", "load_max", "peak_mib",
         "params", "macs", "mac_reduction", "mac_efficiency", "error", "rounds", "disturbed"), 1,
    )  # fmt: skip
    return Row(
        **vars(setting), **input._asdict(), model=model, implementation=OURS, precision="float32",
        **numbers,
    )  # fmt: skip


def test_it_starts_beside_torch_alone() -> None:
    others = "pyannote", "matplotlib", "espnet2", "s3prl", "transformers", "torchaudio", "soundfile"
    script = f"import sys; sys.modules |= dict.fromkeys({others}); import {{}}"
    for name in ("run_bench", "run_bench_training"):
        command = [sys.executable, "-c", script.format(f"benchmarks.{name}")]
        subprocess.run(command, cwd=ROOT, check=True)


def fast(precision: str) -> bool:
    return precision != "bfloat16" or has_instructions(torch.bfloat16)


def test_options_narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def compare(model, inputs, precisions, setting, rounds, limit, folder):
        asked.append((model, list(map(str, inputs)), tuple(precisions), rounds, limit))
        return iter([[row(setting, model, inputs[0])]])

    monkeypatch.setattr(bench, "compare", compare)
    monkeypatch.setattr(bench, "plot", lambda rows, path: None)
    bench.main(["--output", str(tmp_path)])
    # Without what this processor would emulate.
    precisions = [name for name in ("float32", "bfloat16", "int8") if fast(name)]
    everything = ["1 x 8 s", "4 x 8 s", "1 x 30 s"], tuple(precisions), 7, 5.0
    assert asked == [("wavlm_base_plus", *everything), ("wavlm_large", *everything)]
    asked.clear()
    options = "--models tiny tiny --inputs 2x3 2x3 --precisions int8 --rounds 3 --limit 1"
    bench.main([*options.split(), "--output", str(tmp_path)])
    assert asked == [("tiny", ["2 x 3 s"], ("int8",), 3, 1.0)]


@pytest.mark.parametrize(
    "options, message",
    [
        ("--models wavlm_huge", "invalid choice: 'wavlm_huge' .*wavlm_base_plus"),
        ("--models wavlm_large_s80", "invalid choice: 'wavlm_large_s80'"),
        ("--rounds 0", "argument --rounds: expected a whole number above zero, found '0'"),
        ("--threads two", "argument --threads: expected a whole number above zero, found 'two'"),
        ("--inputs 8", "bench: expected an input such as 4x8, .* found '8'"),
        ("--models whisper_tiny_en", "which torchaudio has to compare with, found whisper_tiny_en"),
        ("--precisions float16", r"the cpu has \(float32, bfloat16, int8\), found float16"),
        ("--models tiny --inputs 1x0.0001", "bench: expected waveforms of at least 30 samples"),
    ],
)
def test_bad_options(
    options: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        bench.main([*options.split(), "--output", str(tmp_path)])
    said = exit.value.code if isinstance(exit.value.code, str) else capsys.readouterr().err
    assert re.search(message, said)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_subject_ends_the_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = implementations.IMPLEMENTATIONS["torchaudio"]

    def save(encoder, folder, precisions):
        right.save(random_encoder(encoder.config, seed=1), folder, precisions)

    wrong = {"torchaudio": replace(right, save=save)}
    monkeypatch.setattr(implementations, "IMPLEMENTATIONS", wrong)
    message = "bench: tiny by torchaudio in float32: expected our encoder's hidden states"
    with pytest.raises(SystemExit, match=message):
        bench.main(["--models", "tiny", "--inputs", "1x0.1", "--output", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_passes_what_narrows() -> None:
    settings = ["MODELS=whisper_tiny_en", "INPUTS=1x8 2x3", "PRECISIONS=int8 float32"]
    settings.append("TRAINING_INPUTS=4x4")
    shown = subprocess.run(
        ["make", "--no-print-directory", "-n", "bench", *settings],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.replace("\\\n", " ")
    bench, training = (
        line.split()[2:] for line in shown.splitlines() if "benchmarks.run_bench" in line
    )
    assert bench == [
        "benchmarks.run_bench", "--models", "whisper_tiny_en", "--inputs", "1x8", "2x3",
        "--precisions", "int8", "float32",
    ]  # fmt: skip
    assert training == [
        "benchmarks.run_bench_training", "--models", "whisper_tiny_en", "--inputs", "4x4",
    ]  # fmt: skip
