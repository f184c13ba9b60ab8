"""Files in the format of pyannote/wespeaker-voxceleb-resnet34-LM, with random weights.

Seen in pyannote.audio 4.0.7: what its ``convert.py`` and ``Model.on_save_checkpoint`` write, and
the names of its ResNet34. Public converters of the published file read these names from it. The
version of PyTorch in it is only known by what users had to declare safe. The published file itself
was not at hand.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from espnet_prune.diarization.embedding.wespeaker import SpeakerResNet

# Blocks of the ResNet34 by stage, and the channels that they make.
STAGES = {"layer1": (3, 32), "layer2": (4, 64), "layer3": (6, 128), "layer4": (3, 256)}


def random_resnet(seed: int = 0) -> SpeakerResNet:
    """A network whose normalisations do something."""
    torch.manual_seed(seed)
    network = SpeakerResNet()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
    return network.eval()


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Every name in the file with its shape, written down apart from our network."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, norm: str, out: int, inner: int, kernel: int) -> None:
        shapes[f"{name}.weight"] = (out, inner, kernel, kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = (out,)
        shapes[f"{norm}.num_batches_tracked"] = ()

    conv("resnet.conv1", "resnet.bn1", 32, 1, 3)
    before = 32
    for stage, (blocks, channels) in STAGES.items():
        for index in range(blocks):
            block = f"resnet.{stage}.{index}"
            conv(f"{block}.conv1", f"{block}.bn1", channels, before, 3)
            conv(f"{block}.conv2", f"{block}.bn2", channels, channels, 3)
            if before != channels:
                conv(f"{block}.shortcut.0", f"{block}.shortcut.1", channels, before, 1)
            before = channels
    shapes["resnet.seg_1.weight"], shapes["resnet.seg_1.bias"] = (256, 5120), (256,)
    return shapes


@contextmanager
def pyannote_audio() -> Iterator[Any]:
    """pyannote.audio's module of tasks, for the time that a file is written."""
    name = "pyannote.audio.core.task"
    module = types.ModuleType(name)
    module.Problem = Enum("Problem", {"REPRESENTATION": 3}, module=name)
    module.Resolution = Enum("Resolution", {"CHUNK": 2}, module=name)

    @dataclass
    class Specifications:
        problem: Enum
        resolution: Enum
        duration: float
        warm_up: tuple[float, float] = (0.0, 0.0)

    Specifications.__module__, Specifications.__qualname__ = name, "Specifications"
    module.Specifications = Specifications
    with pytest.MonkeyPatch.context() as patch:
        for package in ("pyannote.audio", "pyannote.audio.core"):
            patch.setitem(sys.modules, package, types.ModuleType(package))
        patch.setitem(sys.modules, name, module)
        yield module


def write_published(path: Path, state: dict[str, Tensor]) -> None:
    """Write ``state``, whose names have the prefix already, as the published file has it."""
    with pyannote_audio() as task:
        specifications = task.Specifications(
            task.Problem.REPRESENTATION, task.Resolution.CHUNK, duration=5.0
        )
        checkpoint = {
            "state_dict": state,
            "pyannote.audio": {
                "versions": {"torch": torch.__version__, "pyannote.audio": "3.1.0"},
                "architecture": {
                    "module": "pyannote.audio.models.embedding.wespeaker",
                    "class": "WeSpeakerResNet34",
                },
                "specifications": specifications,
            },
            "pytorch-lightning_version": "2.1.0",
        }
        torch.save(checkpoint, path)
