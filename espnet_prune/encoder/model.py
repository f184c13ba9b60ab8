"""The encoder: waveforms to the hidden states of every layer, dense or pruned alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_prune.encoder.config import SSLConfig
from espnet_prune.encoder.front_end import StridedConv
from espnet_prune.encoder.masks import LayerMasks, Masks
from espnet_prune.encoder.norm import length_mask, within
from espnet_prune.encoder.transformer import EmptySublayer, PositionalConv, TransformerLayer


class EncoderOutput(NamedTuple):
    """Hidden states, and how many frames of each item are real.

    Attributes:
        hidden_states: N + 1 tensors ``(B, L, D)`` for N layers, as s3prl's own upstreams give
            them: the input of each layer, then the encoder's output (after the final LayerNorm
            in pre-norm models, unless ``config.final_norm`` is off). Padded frames are zero.
        lengths: ``(B,)`` frames.

    Example:
        >>> import torch
        >>> from espnet_prune import SSLEncoder
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> output = encoder(torch.zeros(2, 16000), lengths=torch.tensor([16000, 8000]))
        >>> len(output.hidden_states), output.lengths
        (5, tensor([50, 25]))
    """

    hidden_states: list[Tensor]
    lengths: Tensor


class _StorageAbove:
    """What the rooms above this one offer; none of them is imported before it is asked for."""

    def __get__(self, encoder: object, cls: type) -> Storage:
        import espnet_prune

        return espnet_prune.STORAGE


class SSLEncoder(nn.Module):
    """An encoder of any family, whose layers may each have their own shape.

    Attributes:
        history: how it came to be, see :mod:`espnet_prune.history`; folders keep it.

    Example:
        >>> import torch
        >>> from espnet_prune import SSLEncoder
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> states, lengths = encoder(torch.zeros(1, 16000))  # a second of 16 kHz audio
        >>> len(states), states[-1].shape
        (5, torch.Size([1, 50, 384]))
    """

    history: tuple[Mapping[str, Any], ...] = ()

    def __init__(self, config: SSLConfig):
        super().__init__()
        self.config = config
        self.front_end = config.rules.front_end(config)
        self.pos_conv = PositionalConv(config) if config.pos_conv_kernel else None
        self.position_bias = config.rules.position_bias(config)
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
            ValueError: an item is shorter than one frame, the input is not ``(B, T)``, or it is
                longer than what ``config.padded_to`` pads all to.
        """
        states, frames = self.stream(wavs, lengths, masks)
        return EncoderOutput(list(states), frames)

    def stream(
        self, wavs: Tensor, lengths: Tensor | None = None, masks: Masks | None = None
    ) -> tuple[Iterator[Tensor], Tensor]:
        """As :meth:`forward`, but the hidden states come one by one, for those who keep no list.

        Lengths on an accelerator are taken as they are, so that nothing waits for them; an item
        shorter than one frame has no frames then.
        """
        inner = lengths if self._is_padded(wavs, lengths) else None
        x = _standardise(wavs, inner) if self.config.normalize_waveform else wavs
        conv_masks = masks.conv if masks else (None,) * len(self.config.conv_layers)
        frames = self._count_frames(wavs, inner)
        if (size := self.config.padded_samples) is None:
            x, _ = self.front_end(x, inner, conv_masks)
            return self.transform(x, None if inner is None else frames, masks), frames
        x, _ = self.front_end(_followed_by_silence(x, inner, size), None, conv_masks)
        own = self.config.num_frames(wavs.size(1))
        return (within(y[:, :own], frames) for y in self.transform(x, None, masks)), frames

    def transform(
        self, x: Tensor, lengths: Tensor | None = None, masks: Masks | None = None
    ) -> Iterator[Tensor]:
        """The hidden states of frames ``(B, L, D)`` of the front end, one by one.

        Nothing beyond the first ``lengths`` ``(B,)`` frames of an item is attended to.
        """
        padding = None
        if lengths is not None:
            x, inside = within(x, lengths), length_mask(lengths, x.size(1))
            padding = x.new_zeros(inside.shape).masked_fill(~inside, -math.inf)[:, None, None]
        if self.pos_conv is not None:
            x = x + self.pos_conv(x)
        x = self.dropout(x if self.config.norm_first else self.norm(x))
        bias = self.position_bias(x.size(1)) if self.position_bias else None
        yield within(x, lengths)
        for index, layer in enumerate(self.layers, start=1):
            x = layer(x, bias, padding, masks.layer(index - 1) if masks else LayerMasks())
            last = index == len(self.layers) and self.config.norm_first
            yield within(self.norm(x) if last else x, lengths)

    def pad_to(self, seconds: float | None) -> SSLEncoder:
        """Choose how Whisper hears inputs of less than 30 s, and return the encoder itself.

        Padded to 30 ``seconds`` with silence is what OpenAI trained and what its decoder knows;
        each frame attends to the silence, and each input costs what 30 s do. The input's own
        length (None), which encoders start with, leaves that out: in tiny.en the last states of 2,
        8 and 16 s out of twelve AMI clips move by 46, 20 and 13 % of their norm (medians), and take
        0.07, 0.27 and 0.59 s instead of 1.35 s on one core (AMD EPYC without AVX-512, float32).

        Both give the frames of the input alone. Beyond 30 s the first mode refuses, the second
        computes positions that the model never saw.

        Raises:
            ConfigError: the encoder is no Whisper, or that is no length.
        """
        self.config = replace(self.config, padded_to=seconds)
        return self

    def _count_frames(self, wavs: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None:
            count = self.config.num_frames(wavs.size(1))
            return torch.full_like(wavs[:, 0], count, dtype=torch.long)
        hops = (lengths - self.config.shortest).div(self.config.hop, rounding_mode="floor")
        return (hops + 1).clamp(min=0)

    def _is_padded(self, wavs: Tensor, lengths: Tensor | None) -> bool:
        if wavs.dim() != 2:
            raise ValueError(f"expected waveforms (B, T), found a tensor {tuple(wavs.shape)}")
        readable = lengths is not None and lengths.device.type == "cpu"
        readable = readable and not torch.compiler.is_compiling()
        shortest = int(lengths.min()) if readable else wavs.size(1)  # type: ignore[union-attr]
        if shortest < self.config.shortest:
            raise ValueError(
                f"expected waveforms of at least {self.config.shortest} samples (one frame), "
                f"found one of {shortest}; pad it or leave it out"
            )
        if (longest := self.config.rules.longest(self.config)) and wavs.size(1) > longest:
            raise ValueError(
                f"expected inputs of at most {self.config.padded_to:g} s, which this encoder pads "
                f"all to, found {wavs.size(1) / 16000:g} s; cut it, or let the encoder take inputs "
                "at their own length: encoder.pad_to(None)"
            )
        return lengths is not None and (shortest < wavs.size(1) or not readable)

    storage: ClassVar[_StorageAbove] = _StorageAbove()
    """How encoders are read and written, which the package knows as a whole."""

    @classmethod
    def from_pretrained(cls, source: str | PathLike[str] | nn.Module) -> SSLEncoder:
        """Load an encoder from wherever one is published, strictly, in eval mode.

        Args:
            source: ``whisper_tiny_en``, which comes with this package, a folder, a file, an id on
                Hugging Face, a URL, ``torchaudio:BUNDLE``, or a model of another library.

        Raises:
            CheckpointError: the source is missing, damaged, unsafe or of a kind not known here.
        """
        return cls.storage.load(source)

    def save_pretrained(self, folder: str | PathLike[str], sparse: bool = False) -> None:
        """Write ``config.json``, ``model.safetensors`` and a model card to ``folder``, atomically.

        A ``README.md`` that somebody wrote or edited stays as it is. ``sparse`` keeps no zeros of
        weights that have many, which only this package reads.
        """
        self.storage.save(self, folder, sparse=sparse)

    def push_to_hub(
        self,
        repo_id: str,
        private: bool = False,
        revision: str | None = None,
        token: str | None = None,
    ) -> str:
        """Upload the encoder to Hugging Face, and return its address there.

        Args:
            repo_id: ``owner/name``; made if there is none, then ``private`` to its owner or not.
            revision: the branch to push to, made if there is none; the main branch by default.
            token: for writing; by default that of ``hf auth login`` or ``HF_TOKEN``.

        Raises:
            CheckpointError: huggingface_hub is not installed, the hub refuses or cannot be reached.
        """
        return self.storage.push(self, repo_id, private, revision, token)


class Storage(NamedTuple):
    """Functions that read and write encoders; see the methods of :class:`SSLEncoder`.

    Example:
        >>> from espnet_prune import SSLEncoder
        >>> encoder = SSLEncoder.storage.load("whisper_tiny_en")  # what from_pretrained calls
        >>> len(encoder.layers)
        4
    """

    load: Callable[..., SSLEncoder]
    save: Callable[..., None]
    push: Callable[..., str]


def _followed_by_silence(wavs: Tensor, lengths: Tensor | None, size: int) -> Tensor:
    """Waveforms ``(B, T)`` with zeros from their ends on, ``(B, size)``."""
    return F.pad(within(wavs[..., None], lengths)[..., 0], (0, size - wavs.size(1)))


def _standardise(wavs: Tensor, lengths: Tensor | None) -> Tensor:
    """Zero mean and unit variance over each item's own samples; padding becomes zero."""
    if lengths is None:
        return F.layer_norm(wavs, wavs.shape[1:])
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
