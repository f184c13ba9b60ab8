"""A diarizer with random weights, whose work is that of a trained one."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from espnet_prune.data import SAMPLE_RATE
from espnet_prune.diarization import FrameGrid, Powerset
from espnet_prune.diarization.embedding.wespeaker import SpeakerResNet
from espnet_prune.diarization.head import DiarizationConfig
from espnet_prune.diarization.local import LocalSpeakers
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.pipeline import Diarizer, InferenceConfig
from espnet_prune.encoder import PRESETS, Featurizer, SSLEncoder

RESNET = "resnet34"
"""Stands for WeSpeaker's ResNet34 with random weights in the place of an embedding's name."""


class ScriptedHead(nn.Module):
    """A head that does its work, and then decides as a script says.

    Speakers, two unless said otherwise, take turns of two seconds in every window.
    """

    def __init__(self, head: Any, powerset: Powerset, grid: FrameGrid, speakers: int = 2):
        super().__init__()
        self.head, self.powerset, self.grid = head, powerset, grid
        self.speakers = min(speakers, powerset.max_speakers)
        self.turn = round(2.0 / grid.shift)  # frames

    def inference_form(self, dtype: torch.dtype) -> ScriptedHead:
        """The same script, with the work of the head's own form."""
        form = self.head.inference_form(dtype)
        return ScriptedHead(form, self.powerset, self.grid, self.speakers)

    def forward(self, features: Tensor, *lengths: Tensor) -> Tensor:
        """Features ``(B, L, D)``, and frames ``(B,)`` if need be, to scores ``(B, L, K)``.

        The last half second of each turn is in overlap with who comes next.
        """
        scores = self.head(features, *lengths)
        place = torch.arange(scores.size(1), device=scores.device)
        turn, rest = place // self.turn, place % self.turn
        active = scores.new_zeros(scores.size(1), self.powerset.max_speakers)
        active[place, turn % self.speakers] = 1.0
        overlap = place[rest >= 3 * self.turn // 4]
        active[overlap, (turn[overlap] + 1) % self.speakers] = 1.0
        script = nn.functional.one_hot(self.powerset.to_classes(active[None]), scores.size(-1))
        return scores + 1e4 * script


def scripted_model(model: str, seed: int, speakers: int = 2) -> DiarizationModel:
    """A diarization model on the preset ``model``, with a scripted head."""
    torch.manual_seed(seed)
    made = DiarizationModel(Featurizer(SSLEncoder(PRESETS[model]())), DiarizationConfig())
    grid = FrameGrid.of(made.encoder.config)
    made.register_module("head", ScriptedHead(made.head, made.powerset, grid, speakers))
    return made.eval()


def scripted_diarizer(
    model: str, config: InferenceConfig, device: str, seed: int, speakers: int = 2
) -> Diarizer:
    """A diarizer of :func:`scripted_model`; its embedding may be :data:`RESNET`."""
    made = scripted_model(model, seed, speakers)
    with tempfile.TemporaryDirectory() as folder:
        if config.embedding == RESNET:
            config = replace(config, embedding=folder)
            _write_resnet(Path(folder))
        return Diarizer(made, config, device)


def synthetic_speakers(
    diarizer: Diarizer, minutes: float, speakers: int, seed: int
) -> LocalSpeakers:
    """What the windows of a recording would tell of so many speakers with voices of their own.

    Two of them are in each window, one in either half, and what they sound like there is noise
    around their centroids ``(E,)``, E = 256.
    """
    generator = np.random.default_rng(seed)
    local = diarizer.local
    starts = local.starts(round(60 * minutes * SAMPLE_RATE))
    slots, half = diarizer.model.config.max_speakers, local.frames // 2
    activity = np.zeros((len(starts), local.frames, slots), dtype=np.uint8)
    activity[:, :half, 0] = activity[:, half:, 1 % slots] = 1
    present = generator.integers(speakers, size=(len(starts), 1)) + np.arange(2)
    centroids = generator.standard_normal((speakers, 256))
    voices = centroids[present.ravel() % speakers]
    voices = voices + 0.3 * generator.standard_normal(voices.shape)
    return LocalSpeakers(
        activity,
        activity.sum(axis=1, dtype=np.int64),
        voices.astype(np.float32),
        np.array(starts, dtype=np.int64) // local.grid.hop,
        local.grid.num_frames(round(60 * minutes * SAMPLE_RATE)),
    )


def _write_resnet(folder: Path) -> None:
    state = {f"resnet.{name}": value for name, value in SpeakerResNet().state_dict().items()}
    torch.save({"state_dict": state}, folder / "pytorch_model.bin")
