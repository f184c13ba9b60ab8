"""The command finds the best point of a grid with a model, and writes what diarize can read."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from espnet_prune.bin import diarize, score_der, tune_diarization
from espnet_prune.bin.tune_diarization import changes_at, parse_grid
from espnet_prune.data import DataError
from espnet_prune.diarization import tuning
from espnet_prune.diarization.head import DiarizationConfig, HeadConfig
from espnet_prune.diarization.inference_config import InferenceConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.pipeline import Diarizer
from espnet_prune.diarization.tuning import local_once
from espnet_prune.encoder import ConvLayerConfig, Featurizer
from tests.encoders import random_encoder, tiny_config

pytest.importorskip("matplotlib")
KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights, and a set of two recordings, of which one is scored."""
    folder = tmp_path_factory.mktemp("tune")
    conv = tuple(ConvLayerConfig(4, k, s) for k, s in zip(KERNELS, STRIDES, strict=True))
    config = DiarizationConfig(HeadConfig(16, 1, 2, 16, 3), max_speakers=3, window_size=2.0)
    encoder = random_encoder(tiny_config(conv_layers=conv))
    model = DiarizationModel(Featurizer(encoder), config).eval()
    with torch.no_grad():
        torch.manual_seed(2)
        model.head.classifier.weight.normal_(std=5)
    model.save_pretrained(folder / "model")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        samples = rng.standard_normal(96000) * 0.1 * np.repeat(rng.random(24), 4000)
        soundfile.write(folder / f"{name}.wav", samples, 16000)
    (folder / "wav.scp").write_text("".join(f"{name} {folder}/{name}.wav\n" for name in "ab"))
    (folder / "rttm").write_text(
        "SPEAKER a 1 0.5 2.5 <NA> <NA> x <NA> <NA>\nSPEAKER a 1 3 3 <NA> <NA> y <NA> <NA>\n"
    )
    (folder / "uem").write_text("a 1 0 6\n")
    (folder / "decode.yaml").write_text("step: 1.0\nmedian: 5\n")
    return folder


def test_best_of_the_grid(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "tuned.yaml"
    tune_diarization.main([
        f"{folder}/model", str(folder), "--config", f"{folder}/decode.yaml", "--output",
        str(output), "--grid", "threshold=0.0001,1.9", "median=5,11,31", "--device", "cpu",
    ])  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    with open(tmp_path / "tuned.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    grid = [(row["threshold"], row["median"]) for row in rows]
    assert grid == [(t, m) for t in ("0.0001", "1.9") for m in ("5", "11", "31")]
    ders = [float(row["der"]) for row in rows]
    assert len(set(ders)) > 2  # or there would be nothing to choose
    best = rows[ders.index(min(ders))]
    tuned = yaml.safe_load(output.read_text())
    assert tuned == {
        "step": 1.0, "median": int(best["median"]), "threshold": float(best["threshold"]),
    }  # fmt: skip
    assert output.read_text().startswith(f"# Tuned on {folder}: DER {100 * min(ders):.2f} %, co")
    assert lines[2].split()[1:6:2] == [best["threshold"], best["median"], f"{100 * min(ders):.2f}"]
    assert (tmp_path / "tuned.png").read_bytes().startswith(b"\x89PNG")


def test_one_pass_serves_all(folder: Path) -> None:
    model = DiarizationModel.from_pretrained(folder / "model")
    configs = [
        InferenceConfig(step=0.5, threshold=threshold, max_speakers=most)
        for threshold, most in ((1e-4, None), (0.3, None), (1e-4, 2))
    ]
    path = f"{folder}/a.wav"
    together = list(local_once(Diarizer(model), configs)(path, "a"))
    assert together == [Diarizer(model, config).diarize(path, "a") for config in configs]
    assert len({len({turn.speaker for turn in turns}) for turns in together}) > 1


def test_as_diarize_and_score(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [f"{folder}/model", str(folder), "--device", "cpu"]
    tune_diarization.main(
        [*command, "--output", f"{tmp_path}/t.yaml", "--grid", "threshold=0.3", "step=0.5,1.5"]
    )
    capsys.readouterr()
    tuned = yaml.safe_load((tmp_path / "t.yaml").read_text())
    assert tuned.keys() == {"threshold", "step"}
    hypothesis = f"{tmp_path}/hyp.rttm"
    diarize.main([*command, "--output", hypothesis, "--config", f"{tmp_path}/t.yaml"])
    (tmp_path / "uem").write_text("a 1 0 6\nb 1 0 6\n")
    with open(tmp_path / "t.csv", newline="") as file:
        least = min(float(row["der"]) for row in csv.DictReader(file))
    ours = Path(hypothesis).read_text().splitlines(keepends=True)
    Path(hypothesis).write_text("".join(line for line in ours if line.split()[1] == "a"))
    score_der.main([f"{folder}/rttm", hypothesis, "--uem", f"{folder}/uem"])
    assert capsys.readouterr().out.splitlines()[-1].split()[1] == f"{100 * least:.2f}"


@pytest.mark.parametrize(
    "grid, message",
    [
        (["threshold"], "expected NAME=VALUE,… with every name once, found 'threshold'"),
        (["threshold=0.1,"], "found 'threshold=0.1,'"),
        (["step=1", "step=2"], "found 'step=2'"),
        (["stepp=1"], "stepp"),
        (["median=4"], "expected a median of an odd number of frames, found 4"),
        (["step.size=4"], "expected a mapping of the configuration, found step in step.size"),
    ],
)
def test_bad_grid(folder: Path, tmp_path: Path, grid: list[str], message: str) -> None:
    command = [f"{folder}/model", str(folder), "--output", f"{tmp_path}/t.yaml", "--grid", *grid]
    with pytest.raises(SystemExit, match=f"tune_diarization: .*{message}"):
        tune_diarization.main([*command, "--device", "cpu"])
    assert not list(tmp_path.iterdir())


def test_grid_values() -> None:
    found = parse_grid(["a=1,2.5,1e-3", "b=true,null,word"])
    assert found == {"a": [1, 2.5, 0.001], "b": [True, None, "word"]}
    assert isinstance(found["a"][0], int)
    with pytest.raises(DataError):
        parse_grid(["=1"])


def test_keys_within_keys() -> None:
    config = InferenceConfig(vbx_conf={"fa": 1, "fb": 2})
    assert changes_at({"step": 1.0, "vbx_conf.fa": 3, "vbx_conf.new": 4}, config) == {
        "step": 1.0,
        "vbx_conf": {"fa": 3, "fb": 2, "new": 4},
    }


@pytest.mark.parametrize(
    "change, message",
    [
        ({"damage": "a.wav"}, r"expected readable audio.*a\.wav(?s:.)*expected an audio .*b\.wav"),
        ({"grid": "batch_size=1,2.5"}, "batch_size: expected a whole number or nothing, found 2.5"),
        ({"grid": "threshold=nan"}, "threshold: expected a number, found nan"),
        ({"output": "file/t.yaml"}, "file"),
    ],
)
def test_what_cannot_be_is_told_before_the_model_is_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change, message: str
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(Diarizer, "from_pretrained", never)
    (tmp_path / "file").write_text("")
    (tmp_path / "rttm").write_bytes((folder / "rttm").read_bytes())
    if "damage" in change:
        (tmp_path / "a.wav").write_text("no audio")
        (tmp_path / "wav.scp").write_text(f"a {tmp_path}/a.wav\nb {tmp_path}/b.wav\n")
    else:
        (tmp_path / "wav.scp").write_bytes((folder / "wav.scp").read_bytes())
    with pytest.raises(SystemExit, match=message) as ended:
        tune_diarization.main([
            f"{folder}/model", str(tmp_path), "--device", "cpu",
            "--output", f"{tmp_path}/{change.get('output', 't.yaml')}",
            "--grid", change.get("grid", "threshold=0.1"),
        ])  # fmt: skip
    assert ended.value.code == 2


def test_steps_are_tried_before_long_work(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tuning, "tune", lambda *_: pytest.fail("diarized"))
    with pytest.raises(SystemExit, match="expected a step of .*found 2.5 s"):
        tune_diarization.main([
            f"{folder}/model", str(folder), "--device", "cpu", "--output", f"{tmp_path}/t.yaml",
            "--grid", "step=0.5,2.5",
        ])  # fmt: skip
