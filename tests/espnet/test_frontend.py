"""``frontend: pruned_ssl`` in ESPnet's own tasks."""

import argparse

import pytest
import torch
from espnet2.tasks import asr

from espnet_prune.encoder import ConfigError, SSLEncoder
from espnet_prune.espnet import registration
from espnet_prune.espnet.frontend import PrunedSSLFrontend
from tests.espnet.conftest import EACH_FAMILY


def test_adapting_again_is_fine_and_a_clash_of_names_raises(monkeypatch):
    registration.adapt(asr)
    assert asr.frontend_choices.get_class("pruned_ssl") is PrunedSSLFrontend
    monkeypatch.setitem(asr.frontend_choices.classes, "pruned_ssl", object)
    with pytest.raises(RuntimeError, match="registered already"):
        registration.adapt(asr)


@pytest.mark.parametrize("given", [{}, {"model": "folder", "config": {"embed_dim": 8}}])
def test_a_model_or_its_shape_is_needed(given):
    with pytest.raises(ConfigError, match="expected frontend_conf: model .*found (none|both)"):
        PrunedSSLFrontend(**given)


@EACH_FAMILY
def test_features_are_the_weighted_layer_sum(encoder_folder):
    frontend = PrunedSSLFrontend(str(encoder_folder), fs="16k").eval()
    wavs, lengths = torch.randn(2, 4000), torch.tensor([4000, 3000])
    features, frames = frontend(wavs, lengths)
    states = SSLEncoder.from_pretrained(encoder_folder)(wavs, lengths)
    torch.testing.assert_close(features, torch.stack(states.hidden_states).mean(0))
    assert torch.equal(frames, states.lengths) and features.size(-1) == frontend.output_size()


@EACH_FAMILY
def test_what_is_shorter_than_a_frame_is_padded_to_one(encoder_folder):
    frontend = PrunedSSLFrontend(str(encoder_folder)).eval()
    wavs = torch.randn(2, 100)
    features, frames = frontend(wavs, torch.tensor([100, 40]))
    assert frames.tolist() == [1, 1] and features.shape[:2] == (2, 1)


@EACH_FAMILY
def test_hop_and_length_of_a_frame_are_the_encoders_own(encoder_folder, family):
    length = {"wavlm": 400, "whisper": 1040}[family]
    frontend = PrunedSSLFrontend(str(encoder_folder), hop_length=320, win_length=length)
    assert frontend.hop_length == 320
    for wrong in ({"hop_length": 160}, {"win_length": length + 1}):
        with pytest.raises(ConfigError, match="expected (hop|win)_length (320|400|1040), which"):
            PrunedSSLFrontend(str(encoder_folder), **wrong)


def test_a_new_one_is_in_training_as_pytorchs_modules_are(encoder_folder):
    # ESPnet3 trains in the mode that a model is built in.
    assert all(part.training for part in PrunedSSLFrontend(str(encoder_folder)).modules())


def test_frozen_encoder_stays_in_evaluation(encoder_folder):
    frontend = PrunedSSLFrontend(str(encoder_folder), freeze=True).train()
    assert not frontend.featurizer.encoder.training
    trainable = [name for name, p in frontend.named_parameters() if p.requires_grad]
    assert trainable == ["featurizer.weights"]


def test_other_sampling_rates_are_refused(encoder_folder):
    with pytest.raises(ValueError, match="16 kHz"):
        PrunedSSLFrontend(str(encoder_folder), fs=8000)


@EACH_FAMILY
def test_espnets_own_asr_trains_on_it(tmp_path, encoder_folder):
    (tmp_path / "tokens.txt").write_text("<blank>\n<unk>\na\nb\n<sos/eos>\n")
    command = [
        *("--output_dir", str(tmp_path), "--token_list", str(tmp_path / "tokens.txt")),
        *("--frontend", "pruned_ssl", "--frontend_conf", f"model={encoder_folder}"),
        *("--encoder", "rnn", "--encoder_conf", "hidden_size=8", "--encoder_conf", "num_layers=1"),
        *("--encoder_conf", "output_size=8", "--model_conf", "ctc_weight=1.0"),
        *("--decoder", "rnn", "--token_type", "char"),
        *("--normalize", "utterance_mvn", "--normalize_conf", "{}"),
    ]
    args = asr.ASRTask.get_parser().parse_args(command)
    assert isinstance(args, argparse.Namespace)
    model = asr.ASRTask.build_model(args)
    loss, _, _ = model(
        torch.randn(2, 16000),
        torch.tensor([16000, 12000]),
        torch.tensor([[2, 3], [3, 2]]),
        torch.tensor([2, 2]),
    )
    loss.backward()
    assert model.frontend.featurizer.encoder.front_end.projection.weight.grad.any()
