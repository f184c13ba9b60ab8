"""The encoder: waveforms to the hidden states of every layer, dense or pruned alike."""

from __future__ import annotations

import math
from os import PathLike
from typing import NamedTuple

import torch
from torch import Tensor, nn

from espnet_prune.ssl.attention import RelativePositionBias
from espnet_prune.ssl.config import SSLConfig
from espnet_prune.ssl.front_end import FrontEnd, StridedConv, length_mask
from espnet_prune.ssl.masks import LayerMasks, Masks
from espnet_prune.ssl.transformer import EmptySublayer, PositionalConv, TransformerLayer


class EncoderOutput(NamedTuple):
    """Hidden states, and how many frames of each item are real.

    Attributes:
        hidden_states: N + 1 tensors ``(B, L, D)`` for N layers, as s3prl's own upstreams give
            them: the input of each layer, then the encoder's output (after the final LayerNorm
            in pre-norm models, unless ``config.final_norm`` is off). Padded frames are zero.
        lengths: ``(B,)`` frames.
    """

    hidden_states: list[Tensor]
    lengths: Tensor


class SSLEncoder(nn.Module):
    """A WavLM, HuBERT or wav2vec 2.0 encoder whose layers may each have their own shape."""

    def __init__(self, config: SSLConfig):
        super().__init__()
        self.config = config
        self.front_end = FrontEnd(config)
        self.pos_conv = PositionalConv(config)
        self.position_bias = (
            RelativePositionBias(config.num_buckets, config.max_distance, config.num_heads)
            if config.family == "wavlm"
            else None
        )
        self.layers = nn.ModuleList(TransformerLayer(config, shape) for shape in config.layers)
        normed = config.final_norm or not config.norm_first
        self.norm = nn.LayerNorm(config.embed_dim) if normed else nn.Identity()
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.apply(_initialise)

    def forward(
        self, wavs: Tensor, lengths: Tensor | None = None, masks: Masks | None = None
    ) -> EncoderOutput:
        """Encode a batch.

        Args:
            wavs: 16 kHz waveforms ``(B, T)``, padded at the end.
            lengths: ``(B,)`` samples of each item; None when nothing is padded.
            masks: one value per unit, from gates; None for the plain model.

        Raises:
            ValueError: an item is shorter than one frame, or the input is not ``(B, T)``.
        """
        lengths = self._check(wavs, lengths)
        padded = bool((lengths < wavs.size(1)).any())
        x = _standardise(wavs, lengths) if self.config.normalize_waveform else wavs
        conv_masks = masks.conv if masks else (None,) * len(self.config.conv_layers)
        x, _ = self.front_end(x, lengths if padded else None, conv_masks)
        frames = lengths.new_tensor([self.config.num_frames(n) for n in lengths.tolist()])
        inside = length_mask(frames, x.size(1)) if padded else None
        return EncoderOutput(self._transform(x, inside, masks), frames)

    def _transform(self, x: Tensor, inside: Tensor | None, masks: Masks | None) -> list[Tensor]:
        padding = None
        if inside is not None:
            x = x * inside[..., None]
            padding = x.new_zeros(inside.shape).masked_fill(~inside, -math.inf)[:, None, None]
        x = x + self.pos_conv(x)
        x = self.dropout(x if self.config.norm_first else self.norm(x))
        bias = self.position_bias(x.size(1)) if self.position_bias else None
        states = [x]
        for index, layer in enumerate(self.layers):
            x = layer(x, bias, padding, masks.layer(index) if masks else LayerMasks())
            states.append(x)
        if self.config.norm_first:
            states[-1] = self.norm(x)
        return states if inside is None else [state * inside[..., None] for state in states]

    def _check(self, wavs: Tensor, lengths: Tensor | None) -> Tensor:
        if wavs.dim() != 2:
            raise ValueError(f"expected waveforms (B, T), found a tensor {tuple(wavs.shape)}")
        if lengths is None:
            lengths = torch.full((wavs.size(0),), wavs.size(1), device=wavs.device)
        shortest = int(lengths.min())
        if shortest < self.config.receptive_field:
            raise ValueError(
                f"expected waveforms of at least {self.config.receptive_field} samples (one "
                f"frame), found one of {shortest}; pad it or leave it out"
            )
        return lengths

    @classmethod
    def from_pretrained(cls, source: str | PathLike[str]) -> SSLEncoder:
        """Load an encoder from wherever one is published, strictly, in eval mode.

        Args:
            source: see :func:`espnet_prune.ssl.importers.import_encoder`: a folder, a file, a
                URL or a Hugging Face id.

        Raises:
            CheckpointError: the source is missing, damaged, unsafe or of a kind not known here.
        """
        from espnet_prune.ssl.importers import import_encoder

        return import_encoder(source)

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write ``config.json`` and ``model.safetensors`` to ``folder``, atomically."""
        from espnet_prune.ssl.checkpoint import save_encoder

        save_encoder(self, folder)


def _standardise(wavs: Tensor, lengths: Tensor) -> Tensor:
    """Zero mean and unit variance over each item's own samples; padding becomes zero."""
    inside = length_mask(lengths, wavs.size(1)).to(wavs.dtype)
    count = lengths[:, None].to(wavs.dtype)
    centred = (wavs - (wavs * inside).sum(1, keepdim=True) / count) * inside
    return centred * torch.rsqrt(centred.square().sum(1, keepdim=True) / count + 1e-5)


def _initialise(module: nn.Module) -> None:
    """fairseq's initialisation, but PyTorch's own for linear maps, which suits small widths."""
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    elif isinstance(module, EmptySublayer):
        nn.init.zeros_(module.bias)
    elif isinstance(module, PositionalConv):
        conv = module.conv
        std = math.sqrt(4.0 / (conv.kernel_size[0] * conv.in_channels))
        conv.weight = torch.empty_like(conv.weight).normal_(std=std)
        nn.init.zeros_(conv.bias)
    elif isinstance(module, StridedConv):
        nn.init.kaiming_normal_(module.weight)
