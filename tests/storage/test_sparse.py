"""Packed weights: bit for bit what they were, in less space, or a clear error."""

import pytest
import torch

from espnet_prune.encoder import SSLEncoder
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.tensors import pack, unpack
from tests.encoders import random_encoder, tiny_config


def sparse_state(seed=0):
    torch.manual_seed(seed)
    weight = torch.randn(37, 5, 3)
    return {
        "sparse": weight * (torch.rand_like(weight) > 0.7),
        "half": (weight * (torch.rand_like(weight) > 0.9)).bfloat16(),
        "dense": weight,
        "empty": torch.zeros(0),
        "zeros": torch.zeros(9, 9),
        "indices": torch.zeros(100, dtype=torch.long),
    }


def same(ours, theirs):
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype and torch.equal(ours[name], tensor)


def test_unpacked_is_what_was_packed():
    state = sparse_state()
    packed = pack(state)
    assert {"dense", "empty", "indices"} <= set(packed) and "sparse" not in packed
    same(unpack(packed), state)
    same(unpack(state), state)


def test_size_on_disk_follows_the_zeros(tmp_path):
    encoder = random_encoder(tiny_config(embed_dim=64, head_dim=16))
    with torch.no_grad():
        for weight in encoder.parameters():
            if weight.dim() > 1:
                weight.mul_(torch.rand_like(weight) > 0.8)
    for name, sparse in (("dense", False), ("sparse", True)):
        encoder.save_pretrained(tmp_path / name, sparse)
        same(SSLEncoder.from_pretrained(tmp_path / name).state_dict(), encoder.state_dict())
    sizes = [(tmp_path / n / "model.safetensors").stat().st_size for n in ("dense", "sparse")]
    assert sizes[1] < 0.35 * sizes[0]


@pytest.mark.parametrize("missing", ["#kept", "#shape"])
def test_pieces_that_do_not_fit(missing):
    packed = pack(sparse_state())
    shorter = {name: t[:-1] if name == f"sparse{missing}" else t for name, t in packed.items()}
    without = {name: t for name, t in packed.items() if name != f"sparse{missing}"}
    for broken in (shorter, without):
        with pytest.raises(CheckpointError, match="'sparse'"):
            unpack(broken)
