"""The model that comes with the package: small, complete, and what is used without a name."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from benchmarks.evidence import halve
from espnet_prune.bin.diarize import main
from espnet_prune.diarization.inference_config import INFERENCE, config_of_release
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.pipeline import Diarizer
from espnet_prune.encoder import SSLEncoder
from espnet_prune.storage.embedded import DIARIZER, EMBEDDED

FOLDER = EMBEDDED[DIARIZER]
CLIPS = Path(__file__).parents[2] / "egs2" / "mini_corpus" / "ami_clips"


def test_it_is_small_and_says_what_it_is():
    weights = FOLDER / "model.safetensors"
    assert weights.stat().st_size <= 8e6
    with safe_open(weights, "pt") as tensors:
        types = {tensors.get_slice(name).get_dtype() for name in tensors.keys()}  # noqa: SIM118
    assert types <= {"F16", "I64"}
    card = (FOLDER / "README.md").read_text()
    for said in ("Licence", "Trained on", "DER", "Limits", "MIT", "CC BY 4.0"):
        assert said in card


def test_it_is_made_by_a_command(tmp_path):
    whole = DiarizationModel.from_pretrained(FOLDER)
    whole.save_pretrained(tmp_path / "whole")
    halve.main([str(tmp_path / "whole"), "--output", str(tmp_path / "half")])
    weights, ours = (load_file(each / "model.safetensors") for each in (tmp_path / "half", FOLDER))
    assert weights.keys() == ours.keys()
    assert all(torch.equal(weights[name], ours[name]) for name in ours)


def test_it_is_the_default_and_runs_as_it_was_tuned():
    diarizer = Diarizer.from_pretrained()
    assert diarizer.config.embedding == config_of_release(FOLDER).embedding == "campplus"
    assert (FOLDER / INFERENCE).is_file()
    assert SSLEncoder.from_pretrained(DIARIZER).config.family == "whisper"


def test_two_people_of_a_meeting_are_found():
    turns = Diarizer.from_pretrained()(CLIPS / "trn04.flac")
    assert 2 <= len(turns.labels()) <= 4


def test_audio_alone_is_diarized_by_it(tmp_path):
    clips = [str(CLIPS / f"trn0{number}.flac") for number in (0, 1)]
    (tmp_path / "quick.yaml").write_text("step: 8.0\nembedding: ssl\n")
    config = ["--config", str(tmp_path / "quick.yaml")]
    for number, given in enumerate(([*clips], [DIARIZER, *clips], [clips[0]])):
        main([*given, *config, "--output", str(tmp_path / str(number))])
    found = [
        {path.stem: path.read_text() for path in (tmp_path / str(number)).glob("*.rttm")}
        for number in range(3)
    ]
    assert sorted(found[0]) == ["trn00", "trn01"] and found[0] == found[1]
    assert found[2] == {"trn00": found[0]["trn00"]}
