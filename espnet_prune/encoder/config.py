"""What an encoder is, as plain numbers: one config describes a dense and a pruned model alike."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from espnet_prune.encoder.typed import ConfigError, check_name, read_typed, settle_types, shown

if TYPE_CHECKING:
    from espnet_prune.encoder.families.base import Family

FAMILIES: dict[str, Family] = {}
"""Families by the name that configs call them by; :mod:`espnet_prune.encoder.families` fills it."""

MAPS = ("attention.qkv", "attention.out_proj", "feed_forward.fc1", "feed_forward.fc2")
"""The linear maps of a Transformer layer, in the order of its ``ranks``."""

# Far above any model: sizes whose products PyTorch can still count, and layers that can be built.
_MOST_UNITS, _MOST_HEADS, _MOST_LAYERS = 10**6, 1000, 1000


@dataclass(frozen=True)
class ConvLayerConfig:
    """One 1-D convolution of the front end: output channels, kernel and stride in samples.

    ``kept`` are the channels' indices in the dense model; None stands for all of them, or for a
    pruned model whose source does not tell.

    Example:
        >>> from espnet_prune.encoder import ConvLayerConfig
        >>> ConvLayerConfig(channels=256, kernel=3, stride=1)
        ConvLayerConfig(channels=256, kernel=3, stride=1, kept=None)
    """

    channels: int
    kernel: int
    stride: int
    kept: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        settle_types(self)


@dataclass(frozen=True)
class TransformerLayerConfig:
    """One Transformer layer: the original indices of its kept heads and its FFN width.

    No heads (or no FFN units) means an emptied sublayer, which still adds its output bias.
    ``ffn_kept`` are the FFN units' indices in the dense model, as in :class:`ConvLayerConfig`.
    ``ranks`` are the widths between the two thin maps that each of :data:`.MAPS` is made of; 0 for
    one that is a single matrix, None if all are.

    Example:
        >>> from espnet_prune.encoder import TransformerLayerConfig
        >>> TransformerLayerConfig(heads=(0, 2, 5), ffn=512)
        TransformerLayerConfig(heads=(0, 2, 5), ffn=512, ffn_kept=None, ranks=None)
    """

    heads: tuple[int, ...]
    ffn: int
    ffn_kept: tuple[int, ...] | None = None
    ranks: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        settle_types(self)

    @property
    def map_ranks(self) -> tuple[int, ...]:
        """The rank of each of :data:`.MAPS`; 0 for a single matrix."""
        return self.ranks or (0,) * len(MAPS)


@dataclass(frozen=True)
class SSLConfig:
    """Shape and constants of a WavLM, HuBERT, wav2vec 2.0 or Whisper encoder.

    Attributes:
        family: one of :data:`FAMILIES`; ``wavlm`` adds the gated relative position bias to the
            attention, ``whisper`` hears log-mel features.
        conv_norm: ``group`` normalises layer 0 over time (base), ``layer`` every layer over
            channels (large), ``none`` nothing (Whisper).
        embed_dim: width D of the Transformer; it is never pruned.
        num_heads: heads per layer of the dense model, H.
        norm_first: pre-norm (large) instead of post-norm (base).
        pos_conv_kernel, pos_conv_groups: the positional convolution; kernel 0 stands for none.
        num_buckets, max_distance: the relative position bias (frames); WavLM only.
        normalize_waveform: scale each waveform to zero mean and unit variance.
        channel_scale: a fixed factor per channel after the last convolution, which pruning in
            DPHuBERT's code leaves behind (its ``dummy_weight``).
        final_norm: the last hidden state passes the encoder's LayerNorm, in pre-norm models;
            DPHuBERT's and DiariZen's code leaves it out.
        mel_bands: log-mel features per 10 ms, 80 or 128; Whisper only.
        padded_to: seconds that every input is padded to with silence, which the frames then attend
            to; 30 is what OpenAI does. None, the default, stands for the input's own length,
            without work on padding. Whisper only; see :meth:`.SSLEncoder.pad_to`.

    Raises:
        ConfigError: a value is of another type or out of range, or they contradict each other.

    Example:
        >>> from espnet_prune import PRESETS, SSLConfig
        >>> config = PRESETS["whisper_tiny_en"]()
        >>> config.family, len(config.layers), config.num_frames(16000)
        ('whisper', 4, 50)
        >>> SSLConfig.from_dict(config.to_dict()) == config
        True
    """

    family: str
    conv_layers: tuple[ConvLayerConfig, ...]
    conv_norm: Literal["group", "layer", "none"]
    conv_bias: bool
    embed_dim: int
    num_heads: int
    head_dim: int
    layers: tuple[TransformerLayerConfig, ...]
    norm_first: bool
    pos_conv_kernel: int
    pos_conv_groups: int
    normalize_waveform: bool
    channel_scale: bool = False
    final_norm: bool = True
    num_buckets: int = 320
    max_distance: int = 800
    mel_bands: int | None = None
    padded_to: float | None = None
    projection_dropout: float = 0.1
    attention_dropout: float = 0.1
    ffn_dropout: float = 0.0
    hidden_dropout: float = 0.1

    def __post_init__(self) -> None:
        settle_types(self)
        check_name("a family", self.family, _families())
        if problems := list(_sizes(self)) or list(_contradictions(self)):
            raise ConfigError("this is no encoder configuration: " + "; ".join(problems))

    @property
    def rules(self) -> Family:
        """What encoders of its family do in a way of their own."""
        return _families()[self.family]

    def num_frames(self, num_samples: int) -> int:
        """Frames (20 ms at 16 kHz) that the encoder gives for ``num_samples`` samples."""
        return max(0, (num_samples - self.shortest) // self.hop + 1)

    @property
    def hop(self) -> int:
        """Samples between the starts of two frames."""
        return self.rules.hop(self)

    @property
    def receptive_field(self) -> int:
        """Samples that one frame sees of its input."""
        return self.rules.receptive_field(self)

    @property
    def shortest(self) -> int:
        """Samples of the shortest input, which gives one frame; each hop more gives another."""
        return self.rules.shortest(self)

    @property
    def first_centre(self) -> float:
        """Samples from the start of an input to the centre of its first frame."""
        return self.rules.first_centre(self)

    @property
    def padded_samples(self) -> int | None:
        """Samples that every input is padded to; None if to none."""
        return None if self.padded_to is None else round(self.padded_to * 16000)

    def dense(self, ffn: int) -> SSLConfig:
        """The same encoder with every head and ``ffn`` FFN units in each layer."""
        return replace(self, layers=dense_layers(len(self.layers), self.num_heads, ffn))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; :meth:`from_dict` is its inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SSLConfig:
        """Read what :meth:`to_dict` wrote."""
        for key in ("conv_layers", "layers"):
            listed = values.get(key) if isinstance(values, Mapping) else None
            if isinstance(listed, list | tuple):
                _check_size(f"the number of {key}", len(listed), 0, _MOST_LAYERS)
        return read_typed(cls, values)


def dense_layers(num_layers: int, num_heads: int, ffn: int) -> tuple[TransformerLayerConfig, ...]:
    """Layers that keep every head and FFN unit, or ConfigError if no machine builds as many."""
    _check_size("the number of layers", num_layers, 1, _MOST_LAYERS)
    _check_size("the number of FFN units", ffn, 1, _MOST_UNITS)
    return (TransformerLayerConfig(first_heads(num_heads), ffn),) * num_layers


def first_heads(count: int) -> tuple[int, ...]:
    """The indices of ``count`` heads, or ConfigError if no machine builds as many."""
    _check_size("the number of heads", count, 0, _MOST_HEADS)
    return tuple(range(count))


def _families() -> Mapping[str, Family]:
    """The families, also for whoever has imported this module alone."""
    if not FAMILIES:
        importlib.import_module("espnet_prune.encoder.families")
    return FAMILIES


def _check_size(name: str, size: object, least: int, most: int) -> None:
    if not isinstance(size, int) or isinstance(size, bool) or not least <= size <= most:
        raise ConfigError(f"expected {name} from {least} to {most}, found {shown(size)}")


def _sizes(config: SSLConfig) -> Iterator[str]:
    """What is out of range, so that nothing can be said of the rest."""
    sizes: dict[str, tuple[float, int, int]] = {}
    for index, conv in enumerate(config.conv_layers):
        for name in ("channels", "kernel", "stride"):
            sizes[f"{name} of convolution {index}"] = getattr(conv, name), 1, _MOST_UNITS
    for index, layer in enumerate(config.layers):
        sizes[f"ffn of layer {index}"] = layer.ffn, 0, _MOST_UNITS
        if len(layer.map_ranks) != len(MAPS):
            yield f"layer {index} has ranks {shown(layer.ranks)}, expected one of each of {MAPS}"
            continue
        for name, rank in zip(MAPS, layer.map_ranks, strict=True):
            sizes[f"the rank of layer {index}'s {name}"] = rank, 0, _MOST_UNITS
    for name, least in {"embed_dim": 1, "head_dim": 1, **config.rules.least}.items():
        sizes[name] = getattr(config, name) or 0, least, _MOST_UNITS
    sizes["num_heads"] = config.num_heads, 1, _MOST_HEADS
    for name in ("conv_layers", "layers"):
        sizes[f"the number of {name}"] = len(getattr(config, name)), 1, _MOST_LAYERS
    for name in ("projection", "attention", "ffn", "hidden"):
        sizes[f"{name}_dropout"] = getattr(config, f"{name}_dropout"), 0, 1
    for name, (size, least, most) in sizes.items():
        if not least <= size <= most:
            yield f"expected {name} from {least} to {most}, found {size}"


def _contradictions(config: SSLConfig) -> Iterator[str]:
    yield from config.rules.contradictions(config)
    for index, conv in enumerate(config.conv_layers):
        if not _fits(conv.kept, conv.channels):
            yield f"convolution {index} has {conv.channels} channels, but keeps {shown(conv.kept)}"
    for index, layer in enumerate(config.layers):
        if not _fits(layer.ffn_kept, layer.ffn):
            yield f"layer {index} has {layer.ffn} FFN units, but keeps {shown(layer.ffn_kept)}"
        emptied = not layer.heads, not layer.heads, not layer.ffn, not layer.ffn
        if any(empty and rank for empty, rank in zip(emptied, layer.map_ranks, strict=True)):
            yield f"layer {index} has ranks {shown(layer.ranks)} of maps that are not there"
        if not _fits(layer.heads, len(layer.heads)) or not all(
            0 <= head < config.num_heads for head in layer.heads
        ):
            yield (
                f"layer {index} keeps heads {shown(layer.heads)}, expected ascending indices "
                f"below {config.num_heads}"
            )


def _fits(kept: tuple[int, ...] | None, size: int) -> bool:
    return kept is None or (len(kept) == size and list(kept) == sorted(set(kept)))
