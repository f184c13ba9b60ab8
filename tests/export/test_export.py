"""An exported file computes what the model does, for batches of any size and length."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from espnet_prune.encoder import PRESETS, SSLEncoder
from espnet_prune.encoder.config import MAPS
from espnet_prune.export import (
    ExportError,
    export_onnx,
    export_torch,
    largest_difference,
    load_exported,
)
from espnet_prune.export.files import METADATA
from espnet_prune.export.program import Deployment
from tests.export.models import DIARIZERS, ENCODERS, encoder_of, make

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-5
WRITERS = {"onnx": export_onnx, "pt2": export_torch}
COVERING = ("wavlm-large", "hubert-base", "wav2vec2-group_pre", "whisper-own", "diarizer-group")


def matrix(names) -> list:
    return [
        pytest.param(name, marks=() if name in COVERING else pytest.mark.slow) for name in names
    ]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """The file of a named model in a format, made once."""
    folder = tmp_path_factory.mktemp("exported")

    def export(name: str, suffix: str) -> Path:
        path = folder / f"{name}.{suffix}"
        if not path.exists():
            if suffix == "onnx":
                for package in ("onnx", "onnxscript", "onnxruntime"):
                    pytest.importorskip(package)
            if name in DIARIZERS:
                pytest.importorskip("pyannote.core")
            WRITERS[suffix](make(name), path)
        return path

    return export


def batch(size: int, samples: int, shortest: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise ``(B, T)`` with an offset, and lengths ``(B,)`` from ``shortest`` to at most T."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(shortest, samples + 1, (size,), generator=generator)
    return 0.1 + 0.5 * torch.randn(size, samples, generator=generator), lengths


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference relative to the largest value."""
    assert found.shape == expected.shape and found.dtype == expected.dtype
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("name", matrix([*ENCODERS, *DIARIZERS]))
@torch.no_grad()
def test_same_outputs(name: str, suffix: str, exported: Callable[[str, str], Path]) -> None:
    program, model = load_exported(exported(name, suffix)), Deployment(make(name))
    one, hop = model.encoder.config.shortest, model.encoder.config.hop
    shortest = one if suffix == "onnx" else one + hop  # one frame, or two
    for size, samples in ((1, shortest), (3, shortest), (1, shortest + 303), (4, 2000), (2, 9001)):
        wavs, lengths = batch(size, samples, one)
        (found, frames), (expected, expected_frames) = program(wavs, lengths), model(wavs, lengths)
        assert torch.equal(frames, expected_frames)
        assert difference(found, expected) <= TOLERANCE
        full = torch.full((size,), samples)
        assert difference(program(wavs, full)[0], model(wavs, full)[0]) <= TOLERANCE


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("name", ["wavlm-large", "whisper-own"])
@torch.no_grad()
def test_items_without_frames_change_no_other(
    name: str, suffix: str, exported: Callable[[str, str], Path]
) -> None:
    program = load_exported(exported(name, suffix))
    shortest = encoder_of(make(name)).config.shortest
    wavs, _ = batch(5, 900, shortest)
    states, frames = program(wavs, torch.tensor([900, shortest - 1, 500, shortest // 2, 0]))
    expected, expected_frames = program(wavs[::2], torch.tensor([900, 500, 900]))
    assert frames[[1, 3, 4]].tolist() == [0, 0, 0] and not states[:, [1, 3, 4]].any()
    assert torch.equal(frames[[0, 2]], expected_frames[:2])
    assert difference(states[:, [0, 2]], expected[:, :2]) <= TOLERANCE


def test_the_check_sees_every_part(exported: Callable[[str, str], Path]) -> None:
    path, model = exported("diarizer-group", "pt2"), make("diarizer-group")
    assert largest_difference(path, model) <= TOLERANCE
    for part in (model.encoder.front_end, model.head.classifier):
        bias = next(value for name, value in part.named_parameters() if name.endswith("bias"))
        with torch.no_grad():
            bias[0] += 0.1
        assert largest_difference(path, model) > 100 * TOLERANCE
        with torch.no_grad():
            bias[0] -= 0.1


def test_the_check_counts_frames(exported: Callable[[str, str], Path], monkeypatch) -> None:
    path, model = exported("hubert-base", "pt2"), make("hubert-base")
    count = SSLEncoder._count_frames
    monkeypatch.setattr(SSLEncoder, "_count_frames", lambda *args: count(*args) - 1)
    assert largest_difference(path, model) == float("inf")


def test_metadata(exported: Callable[[str, str], Path]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    expected = {"family": "wavlm", "output": "hidden_states", "sample_rate": "16000"}
    expected |= {"hop": "20", "receptive_field": "30", "shortest": "30", "first_centre": "15.0"}
    session = onnxruntime.InferenceSession(exported("wavlm-large", "onnx"))
    found = session.get_modelmeta().custom_metadata_map
    assert found.pop("producer").startswith("espnet_prune ")
    assert found == expected
    assert [(each.name, each.shape) for each in session.get_inputs()] == [
        ("wavs", ["batch", "samples"]),
        ("lengths", ["batch"]),
    ]
    assert [each.name for each in session.get_outputs()] == ["hidden_states", "frames"]

    files = {METADATA: ""}
    torch.export.load(exported("diarizer-group", "pt2"), extra_files=files)
    found = json.loads(files[METADATA])
    assert found.pop("producer").startswith("espnet_prune ")
    assert json.loads(found.pop("classes")) == [[], [0], [1], [2], [0, 1], [0, 2], [1, 2]]
    assert found == {**expected, "output": "log_probs", "window_size": "2.0"}


@pytest.mark.parametrize("suffix", WRITERS)
def test_files_name_no_folder(suffix: str, exported: Callable[[str, str], Path]) -> None:
    assert str(ROOT).encode() not in exported("wavlm-large", suffix).read_bytes()


@torch.no_grad()
def test_a_program_takes_one_item_and_refuses_what_it_cannot_compute(
    exported: Callable[[str, str], Path],
) -> None:
    program = torch.export.load(exported("wavlm-large", "pt2")).module()  # without this package
    assert program(*batch(1, 500, 300))[1].shape == (1,)
    for wavs, lengths in (((1, 29), (1,)), ((3, 500), (2,))):
        with pytest.raises((AssertionError, RuntimeError), match=r"size\(\)|shape"):
            program(torch.zeros(wavs), torch.full(lengths, 500))


@torch.no_grad()
def test_other_outputs(tmp_path: Path) -> None:
    pytest.importorskip("pyannote.core")
    model = make("diarizer-group")
    states, frames = model.encoder(*batch(2, 700, 300))
    export_torch(model, tmp_path / "model.pt2", "last_hidden_state")
    found = load_exported(tmp_path / "model.pt2")(*batch(2, 700, 300))
    assert difference(found[0], states[-1]) <= TOLERANCE and torch.equal(found[1], frames)
    with pytest.raises(ExportError, match="expected a diarization model, .* found an encoder"):
        export_torch(model.encoder, tmp_path / "encoder.pt2", "log_probs")


@torch.no_grad()
def test_the_model_is_left_as_it_is(tmp_path: Path) -> None:
    model = make("wavlm-large").train()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    export_torch(model, tmp_path / "model.pt2")
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert model.training and all(each.requires_grad for each in model.parameters())
    again = Deployment(make("wavlm-large"))(*batch(2, 500, 300))[0]
    assert difference(torch.stack(model.eval()(*batch(2, 500, 300))[0]), again) == 0


@pytest.mark.parametrize("name", ["hubert-base", "wavlm-large", "whisper-own", "diarizer-whisper"])
def test_int8_is_of_the_transformers_maps_alone(name: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    model = make(name)
    export_onnx(model, tmp_path / "model.onnx", precision="int8")
    assert TOLERANCE < largest_difference(tmp_path / "model.onnx", model) < 0.1
    file = onnx.load(tmp_path / "model.onnx")
    encoder = getattr(model, "encoder", model)
    maps = [each.endswith((*MAPS, ".inner")) for each, _ in encoder.layers.named_modules()]
    assert [node.op_type for node in file.graph.node].count("MatMulInteger") == sum(maps)
    assert {"family", "hop"} <= {each.key for each in file.metadata_props}


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_missing_packages_are_named(package: str, tmp_path: Path, monkeypatch) -> None:
    for each in ("onnx", "onnxscript"):
        if each != package:
            pytest.importorskip(each)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExportError, match=f"pip install {package}$"):
        export_onnx(make("hubert-base"), tmp_path / "model.onnx", precision="int8")


def test_imports_without_optional_packages() -> None:
    names = "('onnx', 'onnxscript', 'onnxruntime', 'soundfile', 'pyannote.core')"
    code = f"import sys, espnet_prune.export; assert not [n for n in {names} if n in sys.modules]"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_failed_write_leaves_the_former_file(tmp_path: Path, monkeypatch) -> None:
    def save(program, path: Path, **_) -> None:
        path.write_text("a part")
        raise OSError(28, "No space left on device")

    (tmp_path / "model.pt2").write_text("former")
    monkeypatch.setattr("torch.export.save", save)
    with pytest.raises(OSError, match="No space left"):
        export_torch(make("hubert-base"), tmp_path / "model.pt2")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["former"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wavlm_base_plus_s80", "wavlm_base_plus"])
def test_published_shapes(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = SSLEncoder(PRESETS[name]()).eval()
    num_bytes = 4 * sum(each.numel() for each in encoder.parameters())
    for suffix, write in WRITERS.items():
        write(encoder, tmp_path / f"model.{suffix}")
        assert largest_difference(tmp_path / f"model.{suffix}", encoder) <= TOLERANCE
        assert (tmp_path / f"model.{suffix}").stat().st_size < 1.05 * num_bytes
    export_onnx(encoder, tmp_path / "int8.onnx", precision="int8")
    assert largest_difference(tmp_path / "int8.onnx", encoder) <= 0.1
    assert (tmp_path / "int8.onnx").stat().st_size < 0.5 * num_bytes
