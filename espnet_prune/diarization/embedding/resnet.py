"""The ResNet34 of WeSpeaker (Wang et al., 2023), pooled under many masks at once.

Modules have the names that pyannote.audio's conversion of WeSpeaker's models gives their weights,
so that a published file loads strictly.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from espnet_prune.diarization.embedding.pooling import resampled, weighted_statistics
from espnet_prune.diarization.embedding.spectra import NUM_MELS

EMBEDDING_DIM = 256
_CHANNELS = (32, 64, 128, 256)
_BLOCKS = (3, 4, 6, 3)


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


class SpeakerResNet(nn.Module):
    """ResNet34 over mel spectra, weighted statistics, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, _CHANNELS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_CHANNELS[0])
        self.layer1 = _stage(_CHANNELS[0], _CHANNELS[0], _BLOCKS[0], stride=1)
        self.layer2 = _stage(_CHANNELS[0], _CHANNELS[1], _BLOCKS[1], stride=2)
        self.layer3 = _stage(_CHANNELS[1], _CHANNELS[2], _BLOCKS[2], stride=2)
        self.layer4 = _stage(_CHANNELS[2], _CHANNELS[3], _BLOCKS[3], stride=2)
        self.seg_1 = nn.Linear(2 * _CHANNELS[3] * NUM_MELS // 8, EMBEDDING_DIM)

    def forward(self, features: Tensor, weights: Tensor) -> Tensor:
        """Embed the speakers of windows, in one pass for all speakers of a window.

        Args:
            features: ``(B, L, 80)`` log mel spectra, 10 ms apart.
            weights: ``(B, K, S)``, at least 0, over K equal parts of the windows.

        Returns:
            ``(B, S, 256)``.
        """
        return self.seg_1(self.pool(self.frames(features), weights))

    def frames(self, features: Tensor) -> Tensor:
        """``(B, L, 80)`` to what is pooled, ``(B, L', 2560)`` with L' = L / 8, rounded up."""
        x = features.transpose(1, 2).unsqueeze(1)
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.flatten(1, 2).transpose(1, 2)

    @staticmethod
    def pool(frames: Tensor, weights: Tensor) -> Tensor:
        """Frames ``(B, L', D)`` under ``(B, K, S)`` to mean and deviation, ``(B, S, 2 D)``."""
        return weighted_statistics(frames, resampled(weights, frames.size(1)), unbiased=True)


def _stage(in_channels: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    rest = [Block(channels, channels, 1) for _ in range(blocks - 1)]
    return nn.Sequential(Block(in_channels, channels, stride), *rest)
