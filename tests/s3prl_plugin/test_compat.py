"""What the libraries dropped is replaced, what they still have is left alone."""

from __future__ import annotations

import argparse
import importlib
import sys

import pytest
import torch

pytest.importorskip("s3prl")

import huggingface_hub
import s3prl
import torchaudio

from s3prl_plugin import compat


@pytest.fixture
def newest_libraries(monkeypatch):
    """As if what torchaudio 2.9 and huggingface_hub 1.0 dropped had never been there."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if "sox_effects" in n else find_spec(n)
    )
    monkeypatch.delitem(sys.modules, "torchaudio.sox_effects", raising=False)
    monkeypatch.delattr(torchaudio, "sox_effects", raising=False)
    monkeypatch.delattr(torchaudio, "set_audio_backend", raising=False)
    monkeypatch.delattr(huggingface_hub, "HfFolder", raising=False)
    monkeypatch.delattr(huggingface_hub, "Repository", raising=False)


def test_dropped_names_can_be_imported_and_raise_when_used(newest_libraries, monkeypatch):
    monkeypatch.setattr(s3prl, "__version__", "0.4.18")
    compat.apply()
    from huggingface_hub import HfFolder, Repository
    from torchaudio.sox_effects import apply_effects_file, apply_effects_tensor

    assert torchaudio.set_audio_backend("sox_io") is None
    with pytest.raises(AttributeError, match="HfFolder of huggingface_hub<1"):
        HfFolder.get_token()
    with pytest.raises(RuntimeError, match="Repository of huggingface_hub<1"):
        Repository(local_dir="here")
    for function in (apply_effects_file, apply_effects_tensor):
        with pytest.raises(RuntimeError, match="of torchaudio<2.9"):
            function(None, [])


def test_the_fork_sets_no_backend(newest_libraries, monkeypatch):
    monkeypatch.setattr(s3prl, "__version__", "2026.05.14")
    compat.apply()
    assert not hasattr(torchaudio, "set_audio_backend")


@pytest.mark.parametrize(
    "name",
    [
        "hub",
        "run_downstream",
        "downstream.runner",
        "upstream.vggish.audio",
        *(
            f"downstream.{task}.expert"
            for task in ("diarization", "speech_commands", "mos_prediction")
        ),
        "downstream.sv_voxceleb1.expert",
        "downstream.voxceleb2_amsoftmax_segment_eval.expert",
    ],
)
def test_nothing_else_is_missing(name):
    compat.apply()
    assert importlib.import_module(f"s3prl.{name}")


def test_resampling_for_vggish():
    compat.apply()
    audio = importlib.import_module("s3prl.upstream.vggish.audio")
    wav = torch.zeros(24000).numpy()
    assert audio.waveform_to_examples(wav, 24000).shape[1:] == (1, 96, 64)


def test_audio_whatever_torchcodec_can(tmp_path, monkeypatch):
    soundfile = pytest.importorskip("soundfile")
    wav = torch.rand(2, 500) - 0.5
    soundfile.write(tmp_path / "talk.wav", wav.T.numpy(), 16000, subtype="FLOAT")
    (tmp_path / "talk.m4a").write_bytes(b"of no format that soundfile knows")
    monkeypatch.setattr(
        torchaudio, "load_with_torchcodec", lambda uri, *_: f"decoded {uri.name}", raising=False
    )
    monkeypatch.setattr(torchaudio, "load", None)
    compat.apply()
    found, rate = torchaudio.load(str(tmp_path / "talk.wav"))
    assert torch.equal(found, wav) and rate == 16000
    part, _ = torchaudio.load(tmp_path / "talk.wav", 100, 50, channels_first=False)
    assert torch.equal(part, wav[:, 100:150].T)
    assert torchaudio.load(tmp_path / "talk.m4a") == "decoded talk.m4a"


def test_modules_that_two_tasks_import_without_need(monkeypatch):
    for name in ("sox", "catalyst", "catalyst.data", "catalyst.data.sampler"):
        monkeypatch.setitem(sys.modules, name, None)  # as if not installed
        monkeypatch.delitem(sys.modules, name)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n in ("sox", "catalyst") else find_spec(n)
    )
    compat.apply()
    speech_commands = importlib.import_module("s3prl.downstream.speech_commands.expert")
    sampler = speech_commands.DistributedSamplerWrapper
    with pytest.raises(RuntimeError, match="DistributedSamplerWrapper of catalyst"):
        sampler(None)
    assert importlib.import_module("s3prl.downstream.sv_voxceleb1.dataset").Transformer


def test_present_names_are_left_alone(monkeypatch):
    for library, name in (
        (huggingface_hub, "HfFolder"),
        (huggingface_hub, "Repository"),
        (torchaudio, "set_audio_backend"),
    ):
        monkeypatch.setattr(library, name, name, raising=False)
    compat.apply()
    assert (huggingface_hub.HfFolder, huggingface_hub.Repository) == ("HfFolder", "Repository")
    assert torchaudio.set_audio_backend == "set_audio_backend"


def test_a_checkpoint_with_arguments_is_readable(tmp_path):
    path = tmp_path / "states-1.ckpt"
    torch.save({"Args": argparse.Namespace(mode="train")}, path)
    compat.apply()
    assert torch.load(path, weights_only=True)["Args"].mode == "train"
