"""The whole pipeline on a model of random weights."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch

from espnet_prune import Diarizer
from espnet_prune.bin import diarize, pack
from espnet_prune.data import DataError, read_rttm
from espnet_prune.diarization.head import DiarizationConfig, HeadConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.pipeline import InferenceConfig
from espnet_prune.encoder import ConfigError, Featurizer
from espnet_prune.encoder.typed import read_typed
from espnet_prune.storage import CheckpointError
from tests.diarization.scripted import real_convs
from tests.encoders import random_encoder, tiny_config


@pytest.fixture(scope="module", params=["wavlm", "whisper"])
def model(request):
    own = request.param == "whisper"
    encoder = random_encoder(
        tiny_config("whisper") if own else tiny_config(conv_layers=real_convs())
    )
    config = DiarizationConfig(HeadConfig(16, 1, 2, 16, 3), max_speakers=3, window_size=2.0)
    model = DiarizationModel(Featurizer(encoder), config).eval()
    with torch.no_grad():
        torch.manual_seed(2)
        model.head.classifier.weight.normal_(std=5)  # decisions that change with the input
    return model


@pytest.fixture
def wav(tmp_path):
    def write(seconds, rate=16000, name="meeting.wav"):
        samples = np.random.default_rng(0).standard_normal(round(seconds * rate)) * 0.1
        envelope = np.repeat(np.random.default_rng(1).random(len(samples) // 4000 + 1), 4000)
        soundfile.write(tmp_path / name, samples * envelope[: len(samples)], rate)
        return tmp_path / name

    return write


def test_batches_do_not_matter(model, wav):
    path = wav(7.3)
    one, many = (
        Diarizer(model, InferenceConfig(step=0.5, batch_size=size)).diarize(path, "r")
        for size in (1, 8)
    )
    assert one == many and one
    assert max(turn.end for turn in one) <= 7.3


def test_stretches_of_one_window_are_windows(model, wav):
    one, stretch = (
        Diarizer(model, InferenceConfig(step=0.5, **values)).diarize(wav(7.3), "r")
        for values in ({"batch_size": 1}, {"stretch": 2.0})
    )
    assert one == stretch and one
    with pytest.raises(ConfigError, match="expected a stretch of the window's 2 s or more, found"):
        Diarizer(model, InferenceConfig(stretch=1.9))


def test_every_frame_is_seen(model):
    local = Diarizer(model, InferenceConfig(step=0.7)).local
    for samples in (32000, 32001, 40000, 32320, 100000):
        starts = local.starts(samples)
        assert starts[0] == 0 and all(start % 320 == 0 for start in starts)
        assert starts[-1] + 32000 >= samples
        assert max(np.diff(starts), default=0) <= 11200
        assert starts[-1] < samples


def test_steps_as_long_as_windows(model, wav):
    assert Diarizer(model, InferenceConfig(step=2.0, batch_size=2)).diarize(wav(13.1), "r")


@pytest.mark.parametrize("layer", [1, -1])
def test_the_state_that_is_pooled(model, wav, layer, monkeypatch):
    diarizer = Diarizer(model, InferenceConfig(embedding_layer=layer))
    seen = []
    embedder = diarizer.local.networks.embedder

    def spy(stretch, states, weights):
        wavs = torch.stack([stretch.samples[s : s + stretch.size] for s in stretch.starts])
        expected = model.encoder(wavs).hidden_states[layer]
        (state,) = states.values()
        seen.append(float((state - expected).abs().max()))
        return embedder(stretch, states, weights)

    spy.layers = embedder.layers
    monkeypatch.setattr(diarizer.local.networks, "embedder", spy)
    assert diarizer.diarize(wav(5.0), "r") and max(seen) < 1e-3
    with pytest.raises(ConfigError, match="embedding_layer of -4 to 3, found 4"):
        Diarizer(model, InferenceConfig(embedding_layer=4))


def test_an_empty_file_is_refused(model, wav):
    with pytest.raises(DataError, match="found 0"):
        Diarizer(model)(wav(0.0))


@pytest.mark.parametrize("seconds", [0.01, 0.03, 1.5, 2.0])
def test_short_files(model, wav, seconds):
    turns = Diarizer(model).diarize(wav(seconds), "r")
    assert all(turn.end <= seconds + 0.01 for turn in turns)


def test_nobody_speaks(model, wav):
    silent = DiarizationModel(model.featurizer, model.config).eval()
    with torch.no_grad():
        silent.head.classifier.weight.zero_()
        silent.head.classifier.bias.zero_()
        silent.head.classifier.bias[0] = 9.0
    assert len(Diarizer(silent)(wav(5.0))) == 0


def test_save_and_load(model, wav, tmp_path):
    model.save_pretrained(tmp_path / "model")
    path = wav(4.0)
    again = Diarizer.from_pretrained(tmp_path / "model")
    assert again.diarize(path, "r") == Diarizer(model).diarize(path, "r")
    assert again.to("cpu").diarize(path, "r") == Diarizer(model).diarize(path, "r")
    config = json.loads((tmp_path / "model/config.json").read_text())
    for key, value, message in [
        ("depth", 1, "config.json: .*depth"),
        (
            "head",
            {"hidden": 10**5, "num_heads": 1, "ffn": 10**6},
            "expected the w",
        ),
        ("max_speakers", 10**6, "config.json: .*max_speakers <= 8"),
    ]:
        changed = {**config, "diarization": {**config["diarization"], key: value}}
        (tmp_path / "model/config.json").write_text(json.dumps(changed))
        with pytest.raises(ValueError, match=message):
            DiarizationModel.from_pretrained(tmp_path / "model")
    del config["diarization"], changed["encoder"]
    for missing in (config, changed):
        (tmp_path / "model/config.json").write_text(json.dumps(missing))
        with pytest.raises(ConfigError, match="config.json: "):
            DiarizationModel.from_pretrained(tmp_path / "model")


@torch.no_grad()
def test_windows_of_float64(model):
    wavs = torch.randn(2, 32000)
    (expected, frames), (found, _) = model(wavs), model(wavs.double())
    assert found.dtype == torch.float32 and torch.equal(found, expected)
    assert frames.eq(model.encoder.config.num_frames(32000)).all()


def test_a_pack_given_as_a_model(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    shutil.make_archive(str(tmp_path / "pack"), "zip", tmp_path / "model")
    with pytest.raises(CheckpointError, match="pack.zip: .*such as a pack; unpack it"):
        Diarizer.from_pretrained(tmp_path / "pack.zip")


@pytest.mark.parametrize("precision, agreement", [("bfloat16", 0.9), ("int8", 0.9)])
def test_precision_is_close(model, wav, precision, agreement):
    path = wav(6.0)
    annotations = [
        Diarizer(model, InferenceConfig(precision=each))(path) for each in ("float32", precision)
    ]
    speech = [annotation.get_timeline().support() for annotation in annotations]
    common = speech[0].crop(speech[1]).duration()
    assert common > agreement * max(each.duration() for each in speech) > 0
    with pytest.raises(ConfigError, match="expected a precision of .* of cuda, found int8"):
        Diarizer(model, InferenceConfig(precision="int8"), device="cuda")


@pytest.mark.parametrize(
    "values, message",
    [
        ({"precision": "int4"}, "expected a precision of float32, .*found 'int4'"),
        ({"clustering": "spectral"}, "expected a clustering of ahc, vbx, found 'spectral'"),
        ({"linkage": "ward"}, "expected a linkage of average, centroid, complete, found 'ward'"),
        ({"median": 4}, "expected a median of an odd number of frames, found 4"),
        ({"step": 0.0}, "expected a step above zero, found 0.0"),
        ({"max_clustered": 0}, "expected a max_clustered above zero"),
        ({"num_speakers": 0}, "expected 1 speaker or more, found num_speakers 0"),
        ({"batch_size": 2.5}, "batch_size: expected a whole number or nothing, found 2.5"),
        ({"threshold": float("nan")}, "threshold: expected a number, found nan"),
        ({"step": "fast", "median": None}, "step: expected a number.*; median: expected"),
        ({"step": 1e18}, "expected a step above zero, .*the most is"),
        ({"vbx_conf": 3}, "vbx_conf: expected values by name"),
        ({"num_speakers": 2, "max_speakers": 3}, "leave one out"),
    ],
)
def test_bad_configurations(values, message):
    with pytest.raises(ConfigError, match=message):
        InferenceConfig(**values)


@pytest.mark.parametrize("device", ["cuda:77", "xpu", "mps", "hpu", "meta", "toaster", "cpu:x"])
def test_devices_that_are_not_there(model, wav, tmp_path, device, capsys):
    with pytest.raises(ConfigError, match=f"expected a device of this machine, found {device} "):
        Diarizer(model, device=device)
    with pytest.raises(SystemExit) as ended:
        diarize.main(["model", str(wav(2.0)), "--output", f"{tmp_path}/x.rttm", "--device", device])
    assert ended.value.code == 2
    assert f"diarize: expected a device of this machine, found {device}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "values, message",
    [
        ({"max_speakers": 10**6}, "max_speakers <= 8, found 2 and 1000000"),
        ({"max_speakers": 2.5}, "max_speakers: expected a whole number, found 2.5"),
        ({"max_simultaneous": 0}, "expected 1 <= max_simultaneous"),
        *(({"window_size": size}, "window_size") for size in (-1, 1e18, float("nan"), "long")),
        ({"head": {"hidden": 10**9}}, "head: expected a head's hidden from 1"),
        ({"head": {"kernel": 4}}, "head: expected a head's kernel of an odd"),
        ({"head": {"dropout": 2}}, "head: expected a head's dropout"),
        ({"head": {"norm": "layer"}}, "head.norm: expected 'group' or 'batch'"),
        ({"head": {"num_headz": 3}}, "unknown key head.num_headz .*num_heads"),
        ({"head": 3}, "head: expected values by name"),
    ],
)
def test_bad_models(values, message):
    with pytest.raises(ConfigError, match=message):
        read_typed(DiarizationConfig, values)


def test_the_commands(model, wav, tmp_path):
    model.save_pretrained(tmp_path / "model")
    (tmp_path / "wav.scp").write_text(f"m1 {wav(5.0)}\n")
    (tmp_path / "rttm").write_text("SPEAKER m1 1 0.5 1.0 <NA> <NA> MÉO069 <NA> <NA>\n")
    (tmp_path / "decode.yaml").write_text("step: 1.0\n")
    output = tmp_path / "out/hyp.rttm"
    command = [f"{tmp_path}/model", str(tmp_path), "--output", str(output)]
    diarize.main([*command, "--config", f"{tmp_path}/decode.yaml"])
    expected = Diarizer(model, InferenceConfig(step=1.0)).diarize(tmp_path / "meeting.wav", "m1")
    assert len(read_rttm(output).get("m1", [])) == len(expected)
    diarize.main([*command, "--num_speakers", "1"])
    assert len({turn.speaker for turn in read_rttm(output)["m1"]}) == 1
    diarize.main([*command, "--precision", "bfloat16"])
    (tmp_path / "decode.yaml").write_text("stepp: 1.0\n")
    with pytest.raises(SystemExit, match="stepp"):
        diarize.main([*command, "--config", f"{tmp_path}/decode.yaml"])
    with pytest.raises(SystemExit, match="expected .*, a folder"):
        diarize.main([f"{tmp_path}/nowhere", *command[1:]])
    pack.main([f"{tmp_path}/model", str(output), "--output", str(tmp_path / "p.zip")])
    with pytest.raises(SystemExit, match="pack: .*expected a model folder"):
        pack.main([f"{tmp_path}/out", "--output", f"{tmp_path}/q.zip"])
    assert not (tmp_path / "q.zip").exists()
