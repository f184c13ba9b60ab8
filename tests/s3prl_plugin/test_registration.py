"""The name is known everywhere in s3prl and ESPnet, and misuse is told clearly."""

from __future__ import annotations

import functools
import os
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from torch import Tensor

pytest.importorskip("s3prl")

from s3prl import hub
from s3prl.nn import S3PRLUpstream
from s3prl.util import download

import s3prl_plugin
from espnet_prune.storage import CheckpointError
from s3prl_plugin.expert import UpstreamExpert, pruned_wavlm
from tests.formats.fairseq_models import s3prl_checkpoint, s3prl_model
from tests.formats.parity import randomise
from tests.s3prl_plugin.published_files import published_config


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


@pytest.mark.parametrize("make", [hub.pruned_wavlm, UpstreamExpert])
def test_the_calls_that_s3prl_makes_of_its_own_are_understood(large_folder, make):
    # hub.customized_upstream's are those of any upstream; with --hub the runner calls the class.
    path = str(large_folder)
    for upstream in (make(path, None), make(ckpt=path, model_config=None, refresh=True)):
        assert upstream.get_downsample_rates("hidden_states") == 320


def test_the_encoder_that_comes_with_this_package_is_known_by_name():
    upstream = S3PRLUpstream("pruned_wavlm", "whisper_tiny_en")
    assert upstream.hidden_sizes == [384] * 5 and upstream.downsample_rates == [320] * 5


def test_no_encoder():
    with pytest.raises(ValueError, match="expects an encoder and found none.*-k.*path_or_url"):
        S3PRLUpstream("pruned_wavlm")


def test_a_path_to_nothing():
    with pytest.raises(CheckpointError, match="nowhere: expected .*, a folder, a file"):
        hub.pruned_wavlm(ckpt="nowhere")


def test_a_url_is_downloaded_once_unless_refreshed(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_download_dir", tmp_path / "downloads")
    published, config = tmp_path / "published.pt", published_config("hubert_base")

    def publish(seed: int) -> Tensor:
        model = randomise(s3prl_model(config), seed)
        torch.save(s3prl_checkpoint(config, model), published)
        return model.layer_norm.weight

    handler = functools.partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        ckpt = f"http://127.0.0.1:{server.server_port}/published.pt"
        first = publish(1)
        for _ in range(2):
            assert torch.equal(hub.pruned_wavlm(ckpt=ckpt).encoder.front_end.norm.weight, first)
            second = publish(2)
        # s3prl takes a file of the last two seconds for another process's fresh download.
        (file,) = (tmp_path / "downloads").glob("*.pt")
        os.utime(file, (0, 0))
        refreshed = hub.pruned_wavlm(ckpt=ckpt, refresh=True)
        server.shutdown()
    assert torch.equal(refreshed.encoder.front_end.norm.weight, second)


def test_a_truncated_file(large_folder):
    weights = large_folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="truncated"):
        hub.pruned_wavlm(ckpt=large_folder)


@pytest.mark.parametrize("make", [hub.pruned_wavlm, UpstreamExpert])
def test_a_model_config_is_not_read_and_said_so(large_folder, make, caplog):
    make(ckpt=large_folder, model_config="wavlm.yaml")
    assert f"not reading wavlm.yaml: the config is read from {large_folder}" in caplog.text


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
