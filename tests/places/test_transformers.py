"""transformers runs the folders that encoders are saved to, and computes what they do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from espnet_prune.encoder import SSLEncoder
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.tensors import load_file, save_file
from tests.encoders import KINDS, random_encoder, tiny_config
from tests.export.models import make
from tests.formats.parity import identical

transformers = pytest.importorskip("transformers")

LENGTHS = torch.tensor([4000, 2900, 1777])
every_kind = pytest.mark.parametrize("family, size", KINDS)


@pytest.fixture(autouse=True)
def silence():
    transformers.utils.logging.disable_progress_bar()


def encoder_of(family: str, size: str, pruned: bool = True) -> SSLEncoder:
    """Pruned in all that can be, or dense."""
    if pruned:
        return make(f"{family}-{size}")
    return random_encoder(tiny_config(family, size).dense(12))


def padded() -> tuple[torch.Tensor, torch.Tensor]:
    """Waveforms ``(3, T)`` with noise beyond their ends, and their mask."""
    inside = torch.arange(4000) < LENGTHS[:, None]
    return 0.1 * torch.randn(3, 4000), inside.long()


@torch.no_grad()
@every_kind
@pytest.mark.parametrize("pruned", [False, True], ids=["dense", "pruned"])
def test_it_computes_what_the_encoder_does(
    family: str, size: str, pruned: bool, tmp_path: Path
) -> None:
    encoder, (wavs, mask) = encoder_of(family, size, pruned), padded()
    encoder.save_pretrained(tmp_path)
    model = transformers.AutoModel.from_pretrained(tmp_path)
    assert not model.training and model.config.hidden_size == 16
    found = model(wavs, attention_mask=mask, output_hidden_states=True)
    expected = encoder(wavs, LENGTHS).hidden_states
    assert len(found.hidden_states) == len(expected) == model.config.num_hidden_layers + 1
    assert all(map(torch.equal, found.hidden_states, expected))
    assert torch.equal(found.last_hidden_state, expected[-1])
    (last,) = model(wavs, mask, return_dict=False)
    assert torch.equal(last, expected[-1])
    # An item does not hear its neighbours, rounding apart.
    model, wavs = model.double(), wavs.double()
    last = model(wavs, mask).last_hidden_state
    for index, length in enumerate(LENGTHS.tolist()):
        alone = model(wavs[index : index + 1, :length]).last_hidden_state[0]
        torch.testing.assert_close(last[index, : len(alone)], alone, atol=1e-9, rtol=1e-9)
        assert not last[index, len(alone) :].any()


@every_kind
def test_a_saved_model_is_read_by_both(family: str, size: str, tmp_path: Path) -> None:
    encoder = encoder_of(family, size)
    encoder.save_pretrained(tmp_path / "ours")
    changes = {"attention_dropout": 0.25, "output_hidden_states": True}
    model = transformers.AutoModel.from_pretrained(tmp_path / "ours", **changes)
    model.save_pretrained(tmp_path / "theirs")
    ours = SSLEncoder.from_pretrained(tmp_path / "theirs")
    encoder.config = replace(encoder.config, attention_dropout=0.25)
    assert identical(ours, encoder)
    again = transformers.AutoModel.from_pretrained(tmp_path / "theirs")
    assert identical(again.encoder, encoder) and again.config.output_hidden_states
    code = "modeling_espnet_prune.py"
    assert (tmp_path / "theirs" / code).read_text() == (tmp_path / "ours" / code).read_text()


def test_a_new_model_starts_as_an_encoder_does(tmp_path: Path) -> None:
    make("whisper-own").save_pretrained(tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    torch.manual_seed(1)
    model = transformers.AutoModel.from_config(config)
    torch.manual_seed(1)
    assert identical(model.encoder, SSLEncoder(config.shape()))
    own = type(config)(**config.shape().to_dict())
    assert (own.shape(), own.kind, own.auto_map) == (config.shape(), config.kind, config.auto_map)


def test_its_gradients_train_it(tmp_path: Path) -> None:
    make("wavlm-base").save_pretrained(tmp_path)
    model = transformers.AutoModel.from_pretrained(tmp_path).train()
    model(padded()[0]).last_hidden_state.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_features_of_a_waveform(tmp_path: Path) -> None:
    make("hubert-large").save_pretrained(tmp_path)
    extract = transformers.pipeline("feature-extraction", model=str(tmp_path), device="cpu")
    wav = padded()[0][0]
    with torch.no_grad():
        expected = extract.model(wav[None]).last_hidden_state
    found = extract([wav.numpy()] * 2, return_tensors=True)
    assert [torch.equal(each, expected) for each in found] == [True, True]
    assert torch.equal(torch.tensor(extract(wav.numpy())), expected)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    make("wavlm-base").save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    state["another"] = state.pop("front_end.projection.weight")
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="missing: encoder.front_end.*; surplus: another"):
        transformers.AutoModel.from_pretrained(tmp_path)


def test_a_mask_of_another_kind_is_refused(tmp_path: Path) -> None:
    make("wavlm-base").save_pretrained(tmp_path)
    model = transformers.AutoModel.from_pretrained(tmp_path)
    wavs, mask = padded()
    with pytest.raises(ValueError, match="of ones, then zeros, found another"):
        model(wavs, attention_mask=mask.flip(1))


def test_packed_zeros_are_for_this_package_alone(tmp_path: Path) -> None:
    encoder = make("wavlm-base")
    encoder.save_pretrained(tmp_path, sparse=True)
    with pytest.raises(ValueError, match="model_type"):
        transformers.AutoModel.from_pretrained(tmp_path)
    assert "transformers" not in (tmp_path / "README.md").read_text()


def test_heads_need_not_fill_the_width(tmp_path: Path) -> None:
    encoder = random_encoder(tiny_config("hubert", head_dim=3))
    encoder.save_pretrained(tmp_path / "ours")
    model = transformers.AutoModel.from_pretrained(tmp_path / "ours")
    model.save_pretrained(tmp_path / "theirs")
    assert identical(SSLEncoder.from_pretrained(tmp_path / "theirs"), encoder)


def test_a_config_that_is_none_says_why(tmp_path: Path) -> None:
    make("wavlm-base").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_heads": "many"}))
    for load in (transformers.AutoModel.from_pretrained, SSLEncoder.from_pretrained):
        with pytest.raises(ValueError, match="num_heads: expected a whole number, found 'many'"):
            load(tmp_path)


# Without the hook, and at first without this package.
TRUSTING = """
import importlib.abc, sys
import numpy
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "espnet_prune":
            raise ModuleNotFoundError(f"No module named {name!r}")
absent = Absent()
sys.meta_path.insert(0, absent)
from transformers import AutoModel, pipeline
try:
    AutoModel.from_pretrained("encoder", trust_remote_code=True)
except ImportError as error:
    print(str(error).splitlines()[0])
sys.meta_path.remove(absent)
model = AutoModel.from_pretrained("encoder", trust_remote_code=True)
extract = pipeline("feature-extraction", model="encoder", trust_remote_code=True)
print(len(extract(numpy.zeros(4000))[0]), model.config.shape().num_frames(4000))
"""
# transformers is told by whichever is imported last.
LATE = """
from transformers import AutoConfig, AutoModel
import espnet_prune
print(AutoModel.from_pretrained("encoder").config.family)
"""


@pytest.fixture
def python(tmp_path: Path):
    """Run a program in a folder with a folder ``encoder``; it gives what was printed."""
    make("wavlm-base").save_pretrained(tmp_path / "encoder")

    def run(program: str, **environment: str) -> list[str]:
        path = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))
        environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def test_trusted_code_needs_no_hook_but_the_package(python) -> None:
    missing, frames = python(TRUSTING, ESPNET_PRUNE_HOOK="0")
    assert "espnet_prune" in missing and "pip install" in missing
    assert len(set(frames.split())) == 1


def test_imported_later_it_is_known_as_well(python) -> None:
    assert python(LATE)[-1] == "wavlm"
