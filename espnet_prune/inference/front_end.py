"""Convolutions for inference: stretch by stretch, norms folded away, long ones by Fourier."""

from __future__ import annotations

import copy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_prune.encoder.config import SSLConfig
from espnet_prune.encoder.front_end import STRETCH, ConvLayer, FrontEnd, StridedConv
from espnet_prune.encoder.norm import TimeGroupNorm, length_mask
from espnet_prune.encoder.transformer import PositionalConv
from espnet_prune.inference.linear import PackedLinear

# As STRETCH, but enough to occupy an accelerator.
_STRETCH_OF_ACCELERATOR = 2**22
_NO_MASKS = "an inference form takes no masks; apply them to the encoder first"


class InferenceFrontEnd(nn.Module):
    """What :class:`~espnet_prune.encoder.front_end.FrontEnd` computes, without its gradients.

    The first convolutions make more values of the audio than all that follows; in stretches of
    about two seconds a CPU keeps them in its cache. Stretches overlap by what one frame sees
    beyond its hop, 80 samples. The first convolution stays in float32: its input is the waveform.
    """

    def __init__(self, front_end: FrontEnd, config: SSLConfig, dtype: torch.dtype):
        super().__init__()
        self.config, self.dtype = config, dtype
        first, *others = (cast(ConvLayer, layer) for layer in front_end.conv_layers)
        self.first = (
            GroupNormedConv(first.conv, first.norm)
            if isinstance(first.norm, TimeGroupNorm)
            else PlainConv(first)
        )
        self.others = nn.ModuleList(PlainConv(layer, dtype) for layer in others)
        self.scale = None if front_end.scale is None else front_end.scale.to(dtype)
        self.norm = copy.deepcopy(front_end.norm).to(dtype)
        projection = front_end.projection
        self.projection = PackedLinear(projection.weight, projection.bias, dtype=dtype)

    def forward(
        self, wavs: Tensor, lengths: Tensor | None, masks: tuple[None, ...]
    ) -> tuple[Tensor, None]:
        """Waveforms ``(B, T)`` and lengths ``(B,)`` to frames ``(B, L, D)``."""
        if any(mask is not None for mask in masks):
            raise ValueError(_NO_MASKS)
        hop, field = self.config.hop, self.config.receptive_field
        frames = self.config.num_frames(wavs.size(1))
        block = STRETCH if wavs.device.type == "cpu" else _STRETCH_OF_ACCELERATOR
        size = max(1, block // (hop * wavs.size(0)))
        convolve = self.first.prepare(wavs, lengths)
        stretches = []
        for start in range(0, frames, size):
            stop = min(start + size, frames)
            x = convolve(wavs[:, start * hop : (stop - 1) * hop + field]).to(self.dtype)
            for layer in self.others:
                x = layer(x)
            stretches.append(x)
        x = torch.cat(stretches, dim=1)
        x = self.norm(x if self.scale is None else x * self.scale)
        return self.projection(x), None


class PlainConv(nn.Module):
    """Convolution, LayerNorm if there is one, GELU."""

    def __init__(self, layer: ConvLayer, dtype: torch.dtype = torch.float32):
        super().__init__()
        conv = layer.conv
        self.stride = (1, conv.stride)
        weight = conv.weight.detach().to(dtype)[:, :, None]
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        norm = layer.norm if isinstance(layer.norm, nn.LayerNorm) else nn.Identity()
        self.norm = copy.deepcopy(norm).to(dtype)

    def prepare(self, wavs: Tensor, lengths: Tensor | None):
        """As first layer: the function of a stretch ``(B, T)``."""
        return lambda stretch: self(stretch[..., None])

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L_in, C_in)`` to ``(B, L, C)``."""
        y = F.conv2d(x.transpose(1, 2)[:, :, None], self.weight, self.bias, self.stride)
        return F.gelu(self.norm(y[:, :, 0].transpose(1, 2)))


class GroupNormedConv(nn.Module):
    """Convolution of the waveform, norm over time, GELU.

    The mean and the variance of each channel over time follow from those of the patches of
    samples, a square of the kernel's size, so that the norm becomes part of the weights and the
    convolution's output need not be there as a whole.
    """

    def __init__(self, conv: StridedConv, norm: TimeGroupNorm):
        super().__init__()
        self.kernel, self.stride, self.eps = conv.kernel, conv.stride, norm.eps
        self.weight = conv.weight.detach()[:, 0].double()  # C, k; a bias vanishes in the norm
        self.scale, self.shift = norm.weight.detach(), norm.bias.detach()

    def prepare(self, wavs: Tensor, lengths: Tensor | None):
        """The function of a stretch ``(B, T)`` of the items ``wavs``."""
        weight, bias = self._folded(wavs, lengths)

        def convolve(stretch: Tensor) -> Tensor:
            patches = stretch.unfold(1, self.kernel, self.stride)
            return F.gelu(torch.baddbmm(bias, patches, weight))

        return convolve

    def _folded(self, wavs: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Weights ``(B, k, C)`` and biases ``(B, 1, C)`` per item."""
        patches = wavs.double().unfold(1, self.kernel, self.stride)  # B, L, k
        if lengths is None:
            lengths = torch.full_like(wavs[:, 0], wavs.size(1), dtype=torch.long)
        count = (lengths - self.kernel).div(self.stride, rounding_mode="floor") + 1
        inside = length_mask(count, patches.size(1))[..., None]
        count = count[:, None, None]
        mean = (patches * inside).sum(1, keepdim=True) / count
        centred = (patches - mean) * inside
        covariance = centred.transpose(1, 2) @ centred / count  # B, k, k
        variance = ((self.weight @ covariance) * self.weight).sum(-1)  # B, C
        factor = self.scale * torch.rsqrt(variance + self.eps)
        weight = self.weight * factor[..., None]  # B, C, k
        bias = self.shift - (weight @ mean.transpose(1, 2)).squeeze(-1)
        return weight.transpose(1, 2).float(), bias[:, None].float()


class PackedConv(PackedLinear):
    """A convolution of Whisper's, as a linear map of the frames under its kernel, side by side."""

    def __init__(self, conv: StridedConv, dtype: torch.dtype):
        weight = conv.weight.transpose(1, 2).flatten(1)
        super().__init__(weight, cast(nn.Parameter, conv.bias), dtype=dtype)
        self.kernel, self.stride, self.padding = conv.kernel, conv.stride, conv.padding

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """``(B, L_in, C_in)`` to ``(B, L, C)``."""
        if mask is not None:
            raise ValueError(_NO_MASKS)
        x = F.pad(x, (0, 0, self.padding, self.padding)).unfold(1, self.kernel, self.stride)
        return super().forward(x.transpose(2, 3).flatten(2))


class FourierPositionalConv(nn.Module):
    """Overlap-save convolution (Oppenheim & Schafer): blocks of twice the kernel's length.

    A kernel of 128 frames costs a quarter of the direct product that way, always in float32, which
    is faster than the direct product in bfloat16, too.
    """

    spectrum: Tensor

    def __init__(self, pos_conv: PositionalConv):
        super().__init__()
        conv = pos_conv.conv
        self.kernel, self.groups = conv.kernel_size[0], conv.groups
        self.block = 2 * self.kernel
        self.step = self.block - self.kernel + 1
        self.bias = conv.bias.detach().float()
        weight = conv.weight.detach().float().unflatten(0, (self.groups, -1))  # G, out, in, k
        width = weight.size(1)
        spectrum = weight.new_empty(
            self.kernel + 1, self.groups, width, width, dtype=torch.complex64
        )
        for index, group in enumerate(weight):  # all at once would take three times the memory
            spectrum[:, index] = torch.fft.rfft(group, n=self.block).conj().permute(2, 1, 0)
        self.register_buffer("spectrum", spectrum.flatten(0, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, D)`` to ``(B, L, D)``."""
        batch, frames, width = x.shape
        blocks = -(-frames // self.step)
        after = (blocks - 1) * self.step + self.block - self.kernel // 2 - frames
        padded = F.pad(x.float().transpose(1, 2), (self.kernel // 2, after))
        y = torch.fft.rfft(padded.unfold(-1, self.block, self.step))  # B, D, blocks, F
        y = y.unflatten(1, (self.groups, -1)).permute(4, 1, 0, 3, 2)  # F, G, B, blocks, D/G
        y = torch.bmm(y.flatten(2, 3).flatten(0, 1), self.spectrum)
        y = y.view(-1, self.groups, batch, blocks, width // self.groups).permute(2, 3, 1, 4, 0)
        y = torch.fft.irfft(y, n=self.block)[..., : self.step]  # B, blocks, G, D/G, step
        y = y.permute(0, 1, 4, 2, 3).reshape(batch, blocks * self.step, width)[:, :frames]
        return F.gelu(y + self.bias).to(x.dtype)


class FoldedPositionalConv(nn.Module):
    """The direct convolution with its weight norm folded in."""

    def __init__(self, pos_conv: PositionalConv, dtype: torch.dtype):
        super().__init__()
        conv = pos_conv.conv
        self.weight, self.bias = conv.weight.detach().to(dtype), conv.bias.detach().to(dtype)
        self.padding, self.groups, self.surplus = conv.padding, conv.groups, pos_conv.surplus

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, D)`` to ``(B, L, D)``."""
        y = F.conv1d(
            x.transpose(1, 2), self.weight, self.bias, padding=self.padding, groups=self.groups
        )
        return F.gelu(y[..., : y.size(2) - self.surplus]).transpose(1, 2)
