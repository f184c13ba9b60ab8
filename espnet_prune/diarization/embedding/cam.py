"""CAM++ (Wang et al., 2023): a densely connected TDNN whose layers are masked by their context.

Modules have the names that 3D-Speaker's published weights have, so that such a file loads strictly.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from espnet_prune.diarization.embedding.resnet import Block
from espnet_prune.diarization.embedding.spectra import NUM_MELS

EMBEDDING_DIM = 192
_CHANNELS, _INITIAL, _GROWTH, _BOTTLENECK = 32, 128, 32, 128
# Of each dense block: its layers, and the dilation of their convolutions of three frames.
_BLOCKS = ((12, 1), (24, 2), (16, 2))
_SEGMENT = 100  # frames of 20 ms that share a local context
_HALVES_BANDS = (2, 1)


def _norm_relu(channels: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(batchnorm=nn.BatchNorm1d(channels), relu=nn.ReLU(inplace=True))
    )


class _FrontEnd(nn.Module):
    """2-D convolutions: ``(B, L, 80)`` to ``(B, 320, L)``, with an eighth of the bands."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, _CHANNELS, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_CHANNELS)
        self.layer1 = self._stage()
        self.layer2 = self._stage()
        self.conv2 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, _HALVES_BANDS, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(_CHANNELS)

    @staticmethod
    def _stage() -> nn.Sequential:
        return nn.Sequential(
            Block(_CHANNELS, _CHANNELS, _HALVES_BANDS), Block(_CHANNELS, _CHANNELS, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(features.transpose(1, 2).unsqueeze(1))))
        x = functional.relu(self.bn2(self.conv2(self.layer2(self.layer1(x)))))
        return x.flatten(1, 2)


class _MaskedConvolution(nn.Module):
    """Context-aware masking: ``(B, 128, L)`` to ``(B, 32, L)``.

    A convolution over time, each channel times a gate between 0 and 1 that follows from the mean
    over all frames and the mean over the frame's segment of two seconds.
    """

    def __init__(self, dilation: int):
        super().__init__()
        self.linear_local = nn.Conv1d(
            _BOTTLENECK, _GROWTH, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.linear1 = nn.Conv1d(_BOTTLENECK, _BOTTLENECK // 2, 1)
        self.linear2 = nn.Conv1d(_BOTTLENECK // 2, _GROWTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        segments = functional.avg_pool1d(x, _SEGMENT, ceil_mode=True)
        context = x.mean(-1, keepdim=True) + segments
        gates = self.linear2(functional.relu(self.linear1(context))).sigmoid()
        return self.linear_local(x) * gates.repeat_interleave(_SEGMENT, -1)[..., : x.size(-1)]


class _DenseLayer(nn.Module):
    """``(B, C, L)`` to ``(B, C + 32, L)``: the input, and beside it what this layer makes of it."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.nonlinear1 = _norm_relu(channels)
        self.linear1 = nn.Conv1d(channels, _BOTTLENECK, 1, bias=False)
        self.nonlinear2 = _norm_relu(_BOTTLENECK)
        self.cam_layer = _MaskedConvolution(dilation)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(
            [x, self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))], dim=1
        )


class _Statistics(nn.Module):
    """Mean and deviation over time: ``(B, C, L)`` to ``(B, 2 C, 1)``."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.mean(-1), x.std(-1)], dim=-1).unsqueeze(-1)


def _dense_block(channels: int, layers: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            (f"tdnnd{index + 1}", _DenseLayer(channels + index * _GROWTH, dilation))
            for index in range(layers)
        )
    )


class CAMPlusPlus(nn.Module):
    """7 M parameters over mel spectra of one speaker; the TDNN has every second frame."""

    def __init__(self) -> None:
        super().__init__()
        self.head = _FrontEnd()
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        width = _CHANNELS * NUM_MELS // 8
        parts["tdnn"] = nn.Sequential(
            OrderedDict(
                linear=nn.Conv1d(width, _INITIAL, 5, stride=2, padding=2, bias=False),
                nonlinear=_norm_relu(_INITIAL),
            )
        )
        channels = _INITIAL
        for number, (layers, dilation) in enumerate(_BLOCKS, start=1):
            parts[f"block{number}"] = _dense_block(channels, layers, dilation)
            channels += layers * _GROWTH
            parts[f"transit{number}"] = nn.Sequential(
                OrderedDict(
                    nonlinear=_norm_relu(channels),
                    linear=nn.Conv1d(channels, channels // 2, 1, bias=False),
                )
            )
            channels //= 2
        parts["out_nonlinear"] = _norm_relu(channels)
        parts["stats"] = _Statistics()
        parts["dense"] = nn.Sequential(
            OrderedDict(
                linear=nn.Conv1d(2 * channels, EMBEDDING_DIM, 1, bias=False),
                nonlinear=nn.Sequential(
                    OrderedDict(batchnorm=nn.BatchNorm1d(EMBEDDING_DIM, affine=False))
                ),
            )
        )
        self.xvector = nn.Sequential(parts)

    def forward(self, features: Tensor) -> Tensor:
        """Embed utterances of one length and one speaker each.

        Args:
            features: ``(B, L, 80)`` log mel spectra, 10 ms apart, less their mean; L at least 3.

        Returns:
            ``(B, 192)``.
        """
        return self.xvector(self.head(features)).squeeze(-1)
