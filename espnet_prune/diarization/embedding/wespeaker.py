"""Speaker embeddings of WeSpeaker's ResNet34 (Wang et al., 2023), as pyannote.audio publishes it.

Its source is https://huggingface.co/pyannote/wespeaker-voxceleb-resnet34-LM. Modules have the names
that pyannote.audio's conversion gives their weights, so that a published file loads strictly.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from os import PathLike

import torch
from torch import Tensor, nn
from torch.nn import functional

from espnet_prune.diarization.embedding.base import (
    NUM_MELS,
    Stretch,
    cut_windows,
    log_mel,
    num_spectra,
)
from espnet_prune.diarization.embedding.pooling import resampled, weighted_statistics
from espnet_prune.formats.pickles import Inert, check_state, load_pickle
from espnet_prune.formats.sources import find_source
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.checkpoint import load_strictly

WESPEAKER = "pyannote/wespeaker-voxceleb-resnet34-LM"
"""The published model on Hugging Face."""
_EMBEDDING_DIM, _CHANNELS = 256, (32, 64, 128, 256)
_FILE, _STATE, _PREFIX = "pytorch_model.bin", "state_dict", "resnet."
# Spectra that pass the network at once, on a CPU those of 16 s: more took twice the time per window
# there, for tensors so large that their memory is not used again.
_SPECTRA_AT_ONCE = {"cpu": 1600}
_SPECTRA_AT_ONCE_ELSEWHERE = 12800
# What the file holds beyond tensors and plain values, by pyannote.audio's converter: the task, and
# the version of PyTorch.
_TASK = "pyannote.audio.core.task"
_STAND_INS = dict.fromkeys(
    (
        f"{_TASK}.Specifications",
        f"{_TASK}.Problem",
        f"{_TASK}.Resolution",
        "torch.torch_version.TorchVersion",
    ),
    Inert,
)


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al., 2016): ``(B, C, F, L)`` to its like."""

    def __init__(self, in_channels: int, channels: int, stride: int | tuple[int, int]):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != channels:
            self.shortcut.append(nn.Conv2d(in_channels, channels, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Halves F, L or both, rounded up, where their stride is 2."""
        inner = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


def blocks(
    in_channels: int, channels: int, count: int, stride: int | tuple[int, int]
) -> nn.Sequential:
    """So many blocks, of which the first one has the stride."""
    rest = [Block(channels, channels, 1) for _ in range(count - 1)]
    return nn.Sequential(Block(in_channels, channels, stride), *rest)


class SpeakerResNet(nn.Module):
    """ResNet34 over mel spectra, weighted statistics under many masks at once, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, _CHANNELS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_CHANNELS[0])
        self.layer1 = blocks(_CHANNELS[0], _CHANNELS[0], 3, stride=1)
        self.layer2 = blocks(_CHANNELS[0], _CHANNELS[1], 4, stride=2)
        self.layer3 = blocks(_CHANNELS[1], _CHANNELS[2], 6, stride=2)
        self.layer4 = blocks(_CHANNELS[2], _CHANNELS[3], 3, stride=2)
        self.seg_1 = nn.Linear(2 * _CHANNELS[3] * NUM_MELS // 8, _EMBEDDING_DIM)

    def forward(self, features: Tensor, weights: Tensor) -> Tensor:
        """Log mel spectra ``(B, L, 80)``, 10 ms apart, to embeddings ``(B, S, 256)``.

        The weights ``(B, K, S)``, at least 0, are over K equal parts of the windows.
        """
        return self.seg_1(self.pool(self.frames(features), weights))

    def frames(self, features: Tensor) -> Tensor:
        """``(B, L, 80)`` to what is pooled, ``(B, L', 2560)`` with L' = L / 8, rounded up."""
        x = functional.relu(self.bn1(self.conv1(features.transpose(1, 2).unsqueeze(1))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.flatten(1, 2).transpose(1, 2)

    @staticmethod
    def pool(frames: Tensor, weights: Tensor) -> Tensor:
        """Frames ``(B, L', D)`` under ``(B, K, S)`` to mean and deviation, ``(B, S, 2 D)``."""
        return weighted_statistics(frames, resampled(weights, frames.size(1)), unbiased=True)


class WeSpeakerEmbedder(nn.Module):
    """Embed local speakers with the ResNet34, E = 256.

    Spectra are computed once for all windows, which overlap, and the network runs once per window
    whatever the number of its speakers.
    """

    layers: Collection[int] = ()

    def __init__(self, resnet: SpeakerResNet):
        super().__init__()
        self.resnet = resnet.requires_grad_(False)
        # Channels last are measured to be faster on a CPU, by a sixth.
        for weight in self.resnet.parameters():
            if weight.dim() == 4:
                weight.data = weight.to(memory_format=torch.channels_last)
        self.eval()

    @classmethod
    def from_pretrained(cls, source: str | PathLike[str] = WESPEAKER) -> WeSpeakerEmbedder:
        """Load a published ``pytorch_model.bin``: that file, its folder, or an id on Hugging Face.

        CheckpointError: the source is missing, damaged, unsafe or of another network.
        """
        path = find_source(source)
        path = path / _FILE if path.is_dir() else path
        checkpoint = load_pickle(path, _STAND_INS)
        if not isinstance(checkpoint, dict) or _STATE not in checkpoint:
            raise CheckpointError(
                f"{path}: expected a checkpoint of pyannote.audio with {_STATE!r}, found none; "
                f"pass the {_FILE} of {WESPEAKER}"
            )
        found = check_state(checkpoint[_STATE], path)
        state = {key.removeprefix(_PREFIX): value for key, value in found.items()}
        resnet = SpeakerResNet()
        load_strictly(resnet, state, path)
        return cls(resnet)

    def forward(self, stretch: Stretch, states: Mapping[int, Tensor], weights: Tensor) -> Tensor:
        """As of :class:`SpeakerEmbedder`."""
        heard = (weights > 0).any(1)
        embeddings = weights.new_zeros(*heard.shape, _EMBEDDING_DIM)
        rows = heard.any(1).nonzero().flatten()
        if not len(rows):
            return embeddings
        spectra = log_mel(stretch.samples.to(self.resnet.seg_1.weight), "hamming")
        at_once = _SPECTRA_AT_ONCE.get(spectra.device.type, _SPECTRA_AT_ONCE_ELSEWHERE)
        for batch in rows.split(max(1, at_once // num_spectra(stretch.size))):
            starts = [stretch.starts[row] for row in batch.tolist()]
            windows = cut_windows(spectra, starts, stretch.size)
            windows = windows - windows.mean(1, keepdim=True)
            embeddings[batch] = self.resnet(windows, weights[batch])
        return embeddings * heard[:, :, None]
