"""What an encoder is, as plain numbers: one config describes a dense and a pruned model alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from espnet_prune.ssl.typed import ConfigError

Family = Literal["wavlm", "hubert", "wav2vec2"]


@dataclass(frozen=True)
class ConvLayerConfig:
    """One 1-D convolution of the front end: output channels, kernel and stride in samples.

    ``kept`` are the channels' indices in the dense model; None stands for all of them, or for a
    pruned model whose source does not tell.
    """

    channels: int
    kernel: int
    stride: int
    kept: tuple[int, ...] | None = None


@dataclass(frozen=True)
class TransformerLayerConfig:
    """One Transformer layer: the original indices of its kept heads and its FFN width.

    No heads (or no FFN units) means an emptied sublayer, which still adds its output bias.
    ``ffn_kept`` are the FFN units' indices in the dense model; None as in
    :class:`ConvLayerConfig`.
    """

    heads: tuple[int, ...]
    ffn: int
    ffn_kept: tuple[int, ...] | None = None


@dataclass(frozen=True)
class SSLConfig:
    """Shape and constants of a WavLM, HuBERT or wav2vec 2.0 encoder.

    Attributes:
        family: ``wavlm`` adds the gated relative position bias to the attention.
        conv_layers: the front end, first layer first.
        conv_norm: ``group`` normalises layer 0 over time (base), ``layer`` every layer over
            channels (large).
        conv_bias: whether the convolutions have a bias.
        embed_dim: width D of the Transformer; it is never pruned.
        num_heads: heads per layer of the dense model, H.
        head_dim: width of one head.
        layers: the Transformer layers.
        norm_first: pre-norm (large) instead of post-norm (base).
        pos_conv_kernel, pos_conv_groups: the positional convolution.
        num_buckets, max_distance: the relative position bias (frames); WavLM only.
        normalize_waveform: scale each waveform to zero mean and unit variance.
        channel_scale: a fixed factor per channel after the last convolution, which pruning in
            DPHuBERT's code leaves behind (its ``dummy_weight``).
        final_norm: the last hidden state passes the encoder's LayerNorm, in pre-norm models;
            DPHuBERT's and DiariZen's code leaves it out.
        projection_dropout, attention_dropout, ffn_dropout, hidden_dropout: probabilities.

    Raises:
        ConfigError: the numbers contradict each other.
    """

    family: Family
    conv_layers: tuple[ConvLayerConfig, ...]
    conv_norm: Literal["group", "layer"]
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
    projection_dropout: float = 0.1
    attention_dropout: float = 0.1
    ffn_dropout: float = 0.0
    hidden_dropout: float = 0.1

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ConfigError("this is no encoder configuration: " + "; ".join(problems))

    def num_frames(self, num_samples: int) -> int:
        """Frames (20 ms at 16 kHz) that the front end makes of ``num_samples`` samples."""
        for layer in self.conv_layers:
            num_samples = max(0, (num_samples - layer.kernel) // layer.stride + 1)
        return num_samples

    @property
    def hop(self) -> int:
        """Samples between the starts of two frames."""
        hop = 1
        for layer in self.conv_layers:
            hop *= layer.stride
        return hop

    @property
    def receptive_field(self) -> int:
        """Samples that one frame sees, which is also the shortest input."""
        field = 1
        for layer in reversed(self.conv_layers):
            field = (field - 1) * layer.stride + layer.kernel
        return field

    def dense(self, ffn: int) -> SSLConfig:
        """The same encoder with every head and ``ffn`` FFN units in each layer."""
        layer = TransformerLayerConfig(tuple(range(self.num_heads)), ffn)
        return replace(self, layers=(layer,) * len(self.layers))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; :meth:`from_dict` is its inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SSLConfig:
        """Read what :meth:`to_dict` wrote.

        Raises:
            ConfigError: a key is unknown or missing, or a value is impossible.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(f"unknown keys {unknown} in an encoder; known: {sorted(known)}")
        try:
            return cls(
                **{
                    **values,
                    "conv_layers": tuple(
                        ConvLayerConfig(**_with_tuples(v)) for v in values["conv_layers"]
                    ),
                    "layers": tuple(
                        TransformerLayerConfig(**_with_tuples(v)) for v in values["layers"]
                    ),
                }
            )
        except (KeyError, TypeError) as error:
            raise ConfigError(f"incomplete or malformed encoder config: {error}") from error


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in values.items()}


def _problems(config: SSLConfig):
    if config.family not in ("wavlm", "hubert", "wav2vec2"):
        yield f"family {config.family!r} is none of wavlm, hubert, wav2vec2"
    if config.conv_norm not in ("group", "layer"):
        yield f"conv_norm {config.conv_norm!r} is neither group nor layer"
    if not config.conv_layers or min(c.channels for c in config.conv_layers) < 1:
        yield "every convolution needs at least one channel"
    if config.embed_dim % config.pos_conv_groups:
        yield f"pos_conv_groups {config.pos_conv_groups} does not divide {config.embed_dim}"
    if config.family == "wavlm" and config.num_heads * config.head_dim != config.embed_dim:
        yield (
            f"WavLM needs num_heads * head_dim == embed_dim, found "
            f"{config.num_heads} * {config.head_dim} != {config.embed_dim}"
        )
    for index, conv in enumerate(config.conv_layers):
        if not _fits(conv.kept, conv.channels):
            yield f"convolution {index} has {conv.channels} channels, but keeps {conv.kept}"
    for index, layer in enumerate(config.layers):
        if not _fits(layer.ffn_kept, layer.ffn):
            yield f"layer {index} has {layer.ffn} FFN units, but keeps {layer.ffn_kept}"
        if list(layer.heads) != sorted(set(layer.heads) & set(range(config.num_heads))):
            yield (
                f"layer {index} keeps heads {layer.heads}, expected ascending indices "
                f"below {config.num_heads}"
            )
        if layer.ffn < 0:
            yield f"layer {index} has {layer.ffn} FFN units"


def _fits(kept: tuple[int, ...] | None, size: int) -> bool:
    return kept is None or (len(kept) == size and list(kept) == sorted(set(kept)))
