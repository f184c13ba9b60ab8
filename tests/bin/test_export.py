"""The command exports what it finds at a source, checks it, and writes a whole file or none."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from espnet_prune.bin.export import main
from espnet_prune.encoder import SSLEncoder
from espnet_prune.export import TARGETS, load_exported
from tests.export.models import make
from tests.formats.diarizen_format import Release


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    make("hubert-base").save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def own_diarizer(folder: Path) -> Path:
    make("diarizer-group").save_pretrained(folder)
    return folder


def release(folder: Path) -> Path:
    folder.mkdir()
    Release(folder, "base")
    return folder


@pytest.mark.parametrize("options", [[], ["--quantize", "int8"]])
def test_onnx(
    encoder: Path, tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    path = tmp_path / "new" / "model.onnx"
    main([str(encoder), str(path), *options])
    assert list((tmp_path / "new").iterdir()) == [path]
    found = re.fullmatch(
        r"(.*): ([\d.]+) MB, differs from PyTorch by (.*) of the largest value\n",
        capsys.readouterr().out,
    )
    assert found[1] == str(path) and float(found[2]) == round(path.stat().st_size / 1e6, 1)
    assert (float(found[3]) > 1e-4) == bool(options)


@pytest.mark.parametrize("write", [own_diarizer, release])
def test_a_diarization_model_is_exported_whole(
    tmp_path: Path, write: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyannote.core")
    from espnet_prune.diarization.model import DiarizationModel

    source, exported = write(tmp_path / "source"), []

    def write_nothing(model: DiarizationModel, path: Path, output: str | None, *_: None) -> None:
        exported.append((model, output))
        path.touch()

    monkeypatch.setitem(TARGETS, ".pt2", TARGETS[".pt2"]._replace(write=write_nothing))
    main([str(source), str(tmp_path / "model.pt2"), "--no-check"])
    ((model, output),) = exported
    expected = DiarizationModel.from_pretrained(source).state_dict()
    assert output is None and model.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


@torch.no_grad()
def test_its_encoder_alone(tmp_path: Path) -> None:
    pytest.importorskip("pyannote.core")
    source = own_diarizer(tmp_path / "source")
    main([str(source), str(tmp_path / "model.pt2"), "--output", "last_hidden_state"])
    wavs = torch.randn(1, 1000)
    found, _ = load_exported(tmp_path / "model.pt2")(wavs, torch.tensor([1000]))
    expected = SSLEncoder.from_pretrained(source)(wavs).hidden_states[-1]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("difference", [2e-4, float("nan")])
def test_a_file_that_differs_is_not_written(
    encoder: Path, tmp_path: Path, difference: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("espnet_prune.bin.export.largest_difference", lambda *_: difference)
    target = TARGETS[".pt2"]._replace(write=lambda _, path, *__: path.write_text("new"))
    monkeypatch.setitem(TARGETS, ".pt2", target)
    (tmp_path / "model.pt2").write_text("former")
    with pytest.raises(SystemExit, match=f"export: expected what differs .* found {difference:g}"):
        main([str(encoder), str(tmp_path / "model.pt2")])
    assert (tmp_path / "model.pt2").read_text() == "former"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["encoder", "model.pt2"]
    main([str(encoder), str(tmp_path / "model.pt2"), "--no-check"])
    assert (tmp_path / "model.pt2").read_text() == "new"


@pytest.mark.parametrize(
    "options, message",
    [
        (["model.pt"], "expected a file that ends in .onnx or .pt2, found .*model.pt"),
        (["model.pt2", "--quantize", "int8"], "--quantize int8 needs a --target of .onnx"),
        (["model.pt2", "--output", "log_probs"], "expected a diarization model"),
    ],
)
def test_what_cannot_be(encoder: Path, tmp_path: Path, options: list[str], message: str) -> None:
    name, *others = options
    with pytest.raises(SystemExit, match=f"export: {message}"):
        main([str(encoder), str(tmp_path / name), *others])
    assert [each.name for each in tmp_path.iterdir()] == ["encoder"]


def test_missing_source_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "espnet_prune.bin.export"]
    result = subprocess.run(
        [*command, str(tmp_path / "nothing"), str(tmp_path / "model.onnx")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("export: ")
