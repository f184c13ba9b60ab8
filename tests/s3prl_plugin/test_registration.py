"""The name is known everywhere in s3prl and ESPnet, and misuse is told clearly."""

from __future__ import annotations

import functools
import json

import pytest
import torch

pytest.importorskip("s3prl")

from s3prl import hub
from s3prl.nn import S3PRLUpstream

import s3prl_plugin
from espnet_prune.ssl import CheckpointError
from s3prl_plugin.registration import pruned_wavlm


def test_importing_registers_and_again_is_fine():
    s3prl_plugin.register()
    s3prl_plugin.register()
    assert hub.pruned_wavlm is pruned_wavlm
    assert S3PRLUpstream.available_names().count("pruned_wavlm") == 1


def test_a_taken_name_is_left_to_its_owner(monkeypatch):
    monkeypatch.setattr(hub, "pruned_wavlm", functools.partial(pruned_wavlm, ckpt="elsewhere"))
    with pytest.raises(RuntimeError, match="'pruned_wavlm' is registered already.*elsewhere"):
        s3prl_plugin.register()
    assert hub.pruned_wavlm is not pruned_wavlm


def test_the_runners_call_is_understood(large_folder):
    upstream = hub.pruned_wavlm(ckpt=str(large_folder), model_config=None, refresh=True)
    assert upstream.get_downsample_rates("hidden_states") == 320


def test_no_folder():
    with pytest.raises(ValueError, match="expects the folder of an encoder.*-k.*path_or_url"):
        S3PRLUpstream("pruned_wavlm")


@pytest.mark.parametrize("path", ["nowhere", "https://example.com/pruned.pt"])
def test_a_path_that_is_no_folder(path):
    with pytest.raises(CheckpointError, match=f"{path}: expected a folder"):
        hub.pruned_wavlm(ckpt=path)


def test_a_file_of_another_toolkit(tmp_path):
    path = tmp_path / "wavlm.pt"
    torch.save({"cfg": {}, "model": {}}, path)
    with pytest.raises(CheckpointError, match="wavlm.pt: expected a folder"):
        hub.pruned_wavlm(ckpt=path)


def test_a_folder_of_another_toolkit(large_folder):
    (large_folder / "config.json").write_text(json.dumps({"model_type": "wavlm"}))
    with pytest.raises(CheckpointError, match="config.json: expected"):
        hub.pruned_wavlm(ckpt=large_folder)


def test_a_truncated_file(large_folder):
    weights = large_folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="truncated"):
        hub.pruned_wavlm(ckpt=large_folder)


def test_a_model_config(large_folder):
    with pytest.raises(ValueError, match="expects no model config, found wavlm.yaml; leave out -g"):
        hub.pruned_wavlm(ckpt=large_folder, model_config="wavlm.yaml")


def test_an_unknown_keyword_is_not_ignored(large_folder):
    # ESPnet hands extra_conf on; s3prl's own upstreams swallow what they do not know.
    with pytest.raises(TypeError, match="upstream_ckpt"):
        S3PRLUpstream("pruned_wavlm", str(large_folder), extra_conf={"upstream_ckpt": "other"})


def test_espnets_own_front_end(large_folder):
    frontend_module = pytest.importorskip("espnet2.asr.frontend.s3prl")
    frontend = frontend_module.S3prlFrontend(
        frontend_conf={"upstream": "pruned_wavlm", "path_or_url": str(large_folder)},
        multilayer_feature=True,
    ).eval()
    lengths = torch.tensor([3200, 5000])
    wavs = torch.randn(2, 5000)
    with torch.no_grad():
        features, frames = frontend(wavs, lengths)
        states, _ = frontend.upstream(wavs, lengths)
    assert features.shape == (2, 16, frontend.output_size()) == (2, 16, 16)
    assert frames.tolist() == [10, 16] and frontend.hop_length == 320
    torch.testing.assert_close(features, torch.stack(states).mean(0))  # its weights start equal
