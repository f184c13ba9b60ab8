"""Every implementation runs our encoder's own weights: its hidden states say so."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from benchmarks import implementations
from benchmarks.examination import relative_error
from benchmarks.implementations import (
    IMPLEMENTATIONS,
    OURS,
    PRECISIONS,
    TRAINING_FORM,
    Subject,
    find_subjects,
    load,
    save_files,
)
from espnet_prune.encoder import SSLConfig, TransformerLayerConfig
from tests.encoders import random_encoder, tiny_config

DENSE = (TransformerLayerConfig((0, 1, 2, 3), 24),) * 3
ERRORS = {"float32": 1e-5, "bfloat16": 0.05, "int8": 0.1}
CASES = [
    (family, size, name)
    for name, each in IMPLEMENTATIONS.items()
    for family in each.families
    for size in ("base", "large")
    if name != "onnxruntime"
]


def worst_error(
    config: SSLConfig, implementation: str, precisions: tuple[str, ...], folder: Path
) -> dict[str, float]:
    """Of an implementation's hidden states, by precision."""
    if not IMPLEMENTATIONS[implementation].installed:
        pytest.skip(f"needs {implementation}")
    encoder = random_encoder(config)
    subjects = [Subject("tiny", implementation, precision) for precision in precisions]
    save_files(encoder, subjects, folder)
    wavs = 0.3 + torch.randn(2, 3000)
    errors = {}
    with torch.no_grad():
        expected = encoder(wavs).hidden_states
        for subject in subjects:
            found = load(subject, folder, "cpu")(wavs)
            assert len(expected) - len(found) in (0, 1)
            assert all(state.shape == expected[0].shape for state in found)
            errors[subject.precision] = relative_error(found, expected)
    return errors


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family, size, implementation", CASES)
def test_same_hidden_states(family: str, size: str, implementation: str, tmp_path: Path) -> None:
    precisions = IMPLEMENTATIONS[implementation].precisions
    precisions = tuple(each for each in precisions if each in PRECISIONS["cpu"])
    config = tiny_config(family, size, layers=DENSE)
    for precision, error in worst_error(config, implementation, precisions, tmp_path).items():
        assert error < ERRORS[precision], precision
        assert precision == "float32" or error > 1e-4  # it is what it says


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("implementation", [TRAINING_FORM, OURS, "onnxruntime"])
def test_pruned_shapes(implementation: str, tmp_path: Path) -> None:
    precisions = ("float32", "int8") if implementation == "onnxruntime" else ("float32",)
    errors = worst_error(tiny_config(), implementation, precisions, tmp_path)
    assert all(error < ERRORS[precision] for precision, error in errors.items())


@pytest.fixture
def everything_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(implementations, "find_spec", lambda name: name)


@pytest.mark.usefixtures("everything_installed")
def test_subjects_of_a_pair() -> None:
    subjects = find_subjects("wavlm_base_plus", PRECISIONS["cpu"], "cpu")
    dense = [(s.implementation, s.precision) for s in subjects if s.model == "wavlm_base_plus"]
    pruned = [(s.implementation, s.precision) for s in subjects if s.model.endswith("_s80")]
    ours = [(TRAINING_FORM, "float32"), *((OURS, name) for name in PRECISIONS["cpu"])]
    both = [("onnxruntime", "float32"), ("onnxruntime", "int8"), *ours]
    assert pruned == both
    assert dense == [
        *(("torchaudio", precision) for precision in PRECISIONS["cpu"]),
        ("transformers", "float32"),
        ("s3prl", "float32"),
        *both,
    ]


@pytest.mark.usefixtures("everything_installed")
def test_narrowed_subjects_keep_the_reference() -> None:
    subjects = find_subjects("wavlm_large", ["bfloat16"], "cpu")
    assert list(map(str, subjects)) == [
        "wavlm_large by torchaudio in float32",
        "wavlm_large by torchaudio in bfloat16",
        "wavlm_large by espnet_prune in bfloat16",
        "wavlm_large_s80 by espnet_prune in bfloat16",
    ]


@pytest.mark.usefixtures("everything_installed")
def test_a_gpu_has_no_int8_and_no_onnxruntime() -> None:
    subjects = find_subjects("hubert_base", PRECISIONS["cuda"], "cuda")
    assert {s.implementation for s in subjects} == {
        "torchaudio",
        "transformers",
        TRAINING_FORM,
        OURS,
    }
    assert {s.precision for s in subjects} == {"float32", "float16", "bfloat16"}


def test_what_is_not_installed_is_left_out_aloud(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        implementations, "find_spec", lambda name: None if name == "s3prl" else find_spec(name)
    )
    subjects = find_subjects("wavlm_base", ["float32"], "cpu")
    assert "s3prl" not in {subject.implementation for subject in subjects}
    assert "leaving out s3prl, which is not installed" in caplog.messages
