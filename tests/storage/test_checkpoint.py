"""Saving and loading: exact, strict, atomic."""

import json
import pickle

import pytest
import torch

from espnet_prune.encoder import SSLEncoder
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.tensors import load_file, save_file
from tests.encoders import random_encoder, tiny_config


def saved(tmp_path):
    encoder = random_encoder(tiny_config())
    encoder.save_pretrained(tmp_path / "model")
    return encoder, tmp_path / "model"


def test_round_trip_is_exact(tmp_path):
    encoder, folder = saved(tmp_path)
    again = SSLEncoder.from_pretrained(folder)
    wavs = torch.randn(2, 800)
    assert torch.equal(again(wavs).hidden_states[-1], encoder(wavs).hidden_states[-1])
    assert again.config == encoder.config and not again.training


def test_format_is_the_librarys(tmp_path):
    pytest.importorskip("numpy")
    safetensors_torch = pytest.importorskip("safetensors.torch")
    tensors = {
        "a": torch.randn(3, 4).t(),
        "empty": torch.zeros(0, 5),
        "scalar": torch.tensor(7),
        "half": torch.randn(5).bfloat16(),
        "part": torch.arange(10)[3:7],
    }
    save_file(tensors, tmp_path / "ours.safetensors")
    theirs = safetensors_torch.load_file(tmp_path / "ours.safetensors")
    safetensors_torch.save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "theirs"
    )
    ours = load_file(tmp_path / "theirs")
    assert ours.keys() == theirs.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(theirs[name], tensor) and torch.equal(ours[name], tensor)
        assert ours[name].dtype == tensor.dtype


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_truncated_weights_are_refused(tmp_path, keep):
    _, folder = saved(tmp_path)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="model.safetensors"):
        SSLEncoder.from_pretrained(folder)


def test_foreign_weights_are_refused(tmp_path):
    _, folder = saved(tmp_path)
    (folder / "model.safetensors").write_bytes(pickle.dumps({"weight": [1.0]}))
    with pytest.raises(CheckpointError, match="expected a safetensors file"):
        SSLEncoder.from_pretrained(folder)
    with pytest.raises(CheckpointError, match="found no such file or folder"):
        SSLEncoder.from_pretrained(tmp_path / "nowhere")


def test_load_is_strict(tmp_path):
    encoder, folder = saved(tmp_path)
    state = encoder.state_dict()
    surplus = {**state, "gates.log_alpha": torch.zeros(3)}
    missing = {name: tensor for name, tensor in state.items() if name != "norm.bias"}
    for wrong, name in ((surplus, "gates.log_alpha"), (missing, "norm.bias")):
        save_file(wrong, folder / "model.safetensors")
        with pytest.raises(CheckpointError, match=name):
            SSLEncoder.from_pretrained(folder)


def test_another_kind_of_model_is_refused(tmp_path):
    _, folder = saved(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "kind": "diarizer"}))
    with pytest.raises(CheckpointError, match="expected a ssl_encoder, found a diarizer"):
        SSLEncoder.from_pretrained(folder)


def test_a_failed_write_leaves_the_former_file(tmp_path, monkeypatch):
    _, folder = saved(tmp_path)
    before = (folder / "model.safetensors").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("espnet_prune.storage.files.os.fsync", full)
    with pytest.raises(OSError, match="no space left"):
        random_encoder(tiny_config(), seed=1).save_pretrained(folder)
    assert (folder / "model.safetensors").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "modeling_espnet_prune.py",
        "preprocessor_config.json",
    ]


def test_loading_draws_the_random_numbers_that_it_always_did(tmp_path):
    encoder = random_encoder(tiny_config())
    encoder.save_pretrained(tmp_path)
    torch.manual_seed(0)
    SSLEncoder.from_pretrained(tmp_path)
    following = torch.rand(3)
    torch.manual_seed(0)
    for module in (*encoder.front_end.conv_layers, encoder.pos_conv):
        torch.empty_like(module.conv.weight).normal_()
    assert torch.equal(torch.rand(3), following)
