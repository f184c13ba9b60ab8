"""Bytes: of the weights in a precision, and of what is alive at once while one input is encoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from espnet_prune.encoder import SSLConfig
from espnet_prune.encoder.attention import BIAS_BLOCK
from espnet_prune.encoder.families.base import Number
from espnet_prune.encoder.front_end import STRETCH
from espnet_prune.encoder.typed import check_name
from espnet_prune.pruning.budgets.held import EVERY, Held
from espnet_prune.pruning.budgets.params import count_params
from espnet_prune.pruning.cost import Cost, Widths, built_widths, inner_widths

# Bytes of a weight of the Transformer's matrices, of any other weight, of an activation.
_BYTES = {"float32": (4, 4, 4), "bfloat16": (2, 2, 2), "float16": (2, 2, 2), "int8": (1, 4, 4)}
# Values per feature: a hop of samples, the spectrum of its window, the spectrum's squares.
_LOG_MEL = 160 + 2 * 402


@dataclass(frozen=True)
class MemoryCost(Cost):
    """Bytes of weights by part, and of ``activations`` at their peak."""

    parts: ClassVar = (*Cost.parts, "weights", "activations")

    activations: Number = 0

    @property
    def weights(self) -> Number:
        """All weights."""
        return self.front_end + self.transformer

    @property
    def total(self) -> Number:
        """Weights and activations."""
        return self.weights + self.activations


@dataclass(frozen=True)
class Memory(Held):
    """Megabytes (10^6) of the inference form on a CPU, in a ``precision``, for one input.

    Of ``int8`` the matrices of the Transformer have a byte per weight, all else has four.
    """

    precision: str = "float32"

    measure: ClassVar = "memory"
    parts: ClassVar = {"total": EVERY, "weights": EVERY, "activations": EVERY}
    unit: ClassVar = "MB"
    per_unit: ClassVar = 1e6

    def __post_init__(self) -> None:
        check_name("a precision", self.precision, _BYTES)

    def count(self, config: SSLConfig, seconds: float, widths: Widths | None = None) -> MemoryCost:
        matrix, other, value = _BYTES[self.precision]
        widths = widths or built_widths(config)
        params = vars(count_params(config, widths))
        weights = {
            part: count * (matrix if part in ("attention", "ffn") else other)
            for part, count in params.items()
        }
        return MemoryCost(**weights, activations=value * peak_values(config, seconds, widths))


def peak_values(config: SSLConfig, seconds: float, widths: Widths) -> Number:
    """Values that are alive at once, at most, while one input of ``seconds`` is encoded.

    The largest over the steps of the inference form: what a step reads, writes and copies, and
    what waits for later, such as the hidden states of the layers before.
    """
    return max(*_front_end(config, seconds, widths), *_transformer(config, seconds, widths))


def _front_end(config: SSLConfig, seconds: float, widths: Widths) -> Iterator[Number]:
    """What the steps up to the first hidden state need, of features or of the last stretch."""
    samples = config.padded_samples or round(seconds * 16000)
    dim, last = config.embed_dim, widths.conv[-1]
    first, *_, frames = config.rules.conv_frames(config, samples)
    if config.mel_bands is not None:
        yield first * _LOG_MEL
        yield first * (4 * config.mel_bands + widths.conv[0])
        # The frames, between zeros, three under each kernel, and their product.
        yield 2 * first * last + frames * (3 * last + dim)
        return
    kept = samples * config.normalize_waveform
    if config.conv_norm == "group":  # the statistics of the first norm, in double precision
        yield kept + 2 * samples + (4 * config.conv_layers[0].kernel + 2) * first
    size = min(frames, STRETCH // config.hop)
    stretch = (size - 1) * config.hop + config.receptive_field
    *counts, _ = config.rules.conv_frames(config, stretch)
    inputs, copies = 0, 3 if config.conv_norm == "layer" else 2
    for channels, count in zip(widths.conv, counts, strict=True):
        outputs = count * channels
        yield kept + (frames - size) * last + inputs + copies * outputs
        inputs = outputs
    yield kept + 3 * frames * last
    block = 2 * config.pos_conv_kernel
    blocks = -(-frames // (block - config.pos_conv_kernel + 1))
    yield dim * (2 * frames + 3 * blocks * (block + 2))  # three spectra


def _transformer(config: SSLConfig, seconds: float, widths: Widths) -> Iterator[Number]:
    """What the sublayers need; hidden states stay to the end."""
    samples = config.padded_samples or round(seconds * 16000)
    *_, frames = config.rules.conv_frames(config, samples)
    state = frames * config.embed_dim
    normed = state * config.norm_first
    biased = config.rules.position_params(config) > 0
    for index, layer in enumerate(widths.layers, start=1):
        kept, width = index * state + normed, frames * layer.heads * config.head_dim
        joint, out, widen, narrow = (frames * rank for rank in inner_widths(config, layer))
        yield kept + 4 * width + state
        yield kept + state + max(joint + 3 * width, width + out + state)
        if biased:  # queries turned round, results in blocks, joined, and turned back
            bias = min(layer.heads * frames * frames, BIAS_BLOCK)
            yield kept + 7 * width + bias + 8 * frames * layer.heads
        yield kept + state + frames * layer.ffn + max(state, widen, narrow)
