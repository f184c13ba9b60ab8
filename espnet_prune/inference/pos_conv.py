"""The positional convolution for inference: in the frequency domain, block by block."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_prune.encoder.transformer import PositionalConv


class FourierPositionalConv(nn.Module):
    """Overlap-save convolution (Oppenheim & Schafer): blocks of twice the kernel's length.

    A kernel of 128 frames costs a quarter of the direct product that way. It always computes in
    float32, which is faster than the direct product in bfloat16, too.
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
