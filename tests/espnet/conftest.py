"""A tiny corpus of noise with turns, and a tiny encoder, for ESPnet's trainer."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

pytest.importorskip("espnet2")

from espnet_prune.data import Region
from espnet_prune.diarization import cut_windows, write_windows
from espnet_prune.encoder import ConvLayerConfig
from tests.encoders import random_encoder, tiny_config
from tests.espnet.trainer_options import trainer_options

EACH_FAMILY = pytest.mark.parametrize("family", ["wavlm", "whisper"], indirect=True)
KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)


def encoder(folder, seed, family="wavlm"):
    """Save an encoder with the published strides, few channels and no dropout."""
    changes = dict.fromkeys(("projection_dropout", "attention_dropout", "hidden_dropout"), 0.0)
    changes["layers"] = tuple(type(layer)(layer.heads, 40) for layer in tiny_config().layers)
    if family != "whisper":
        shapes = zip(KERNELS, STRIDES, strict=True)
        changes["conv_layers"] = tuple(ConvLayerConfig(4, k, s) for k, s in shapes)
    random_encoder(tiny_config(family, **changes), seed).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def family(request):
    """Of the saved encoders; :data:`EACH_FAMILY` marks a test that others are for as well."""
    return getattr(request, "param", "wavlm")


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory, family):
    """A saved encoder."""
    return encoder(tmp_path_factory.mktemp("encoder"), 0, family)


@pytest.fixture(scope="session")
def teacher_folder(tmp_path_factory, family):
    """A saved encoder with other weights."""
    return encoder(tmp_path_factory.mktemp("teacher"), 1, family)


@pytest.fixture(scope="session")
def windows(tmp_path_factory):
    """A windows file over two recordings of 6 s, with audio and turns beside it."""
    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    regions, wavs, turns = {}, [], []
    for name in ("a", "b"):
        samples = 0.1 * generator.standard_normal(6 * 16000)
        soundfile.write(folder / f"{name}.wav", samples, 16000)
        wavs.append(f"{name} {folder}/{name}.wav")
        for start, speaker in ((0.5, "x"), (2.0, "y"), (2.5, "x")):
            turns.append(f"SPEAKER {name} 1 {start} 1.5 <NA> <NA> {speaker} <NA> <NA>")
        regions[name] = [Region(name, 0.0, 6.0)]
    (folder / "wav.scp").write_text("\n".join(wavs) + "\n")
    (folder / "rttm").write_text("\n".join(turns) + "\n")
    write_windows(folder / "windows", cut_windows(regions, 2.0, 1.0))
    return folder / "windows"


@pytest.fixture
def options(windows):
    """ESPnet options of a training on the windows."""

    def build(output_dir, labels=True, **changes):
        command = trainer_options(output_dir=output_dir, **changes)
        for split in ("train", "valid"):
            command += [f"--{split}_shape_file", str(windows)]
            option = f"--{split}_data_path_and_name_and_type"
            command += [option, f"{windows},speech,window_sound"]
            if labels:
                command += [option, f"{windows},spk_labels,window_labels_2"]
        return command

    return build
