"""Multiply-accumulates, from one formula for built shapes and for expected ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from espnet_prune.encoder import SSLConfig
from espnet_prune.encoder.typed import ConfigError
from espnet_prune.pruning.budgets.held import Held
from espnet_prune.pruning.cost import Cost, Widths, built_widths, map_sizes

_LONGEST = 10**6  # seconds, some eleven days


@dataclass(frozen=True)
class MACs(Held):
    """Multiply-accumulates at the reference length (HJ-Pruning-MAC, Peng et al., 2023)."""

    measure: ClassVar = "macs"

    def count(self, config: SSLConfig, seconds: float, widths: Widths | None = None) -> Cost:
        return count_macs(config, seconds, widths)


def count_macs(config: SSLConfig, seconds: float = 1.0, widths: Widths | None = None) -> Cost:
    """Multiply-accumulates of one input of ``seconds``, in DiariZen's convention.

    Convolutions, linear maps, QK and AV; no norms, activations, softmax or position gate, and no
    log-mel features, which have no weights. The attention grows with the square of the length, so
    "per second" holds at one length only; an encoder that pads its inputs always costs as much.

    Raises:
        ConfigError: the input is shorter than one frame, or longer than any that the encoder takes.

    Example:
        >>> from espnet_prune import PRESETS
        >>> from espnet_prune.pruning import count_macs
        >>> config = PRESETS["whisper_tiny_en"]()
        >>> count_macs(config).total, count_macs(config, seconds=30).total
        (392908800, 18468864000)
    """
    shortest, longest = config.shortest / 16000, config.padded_to or _LONGEST
    if not shortest <= seconds <= longest:
        raise ConfigError(
            f"expected an input of {shortest:g} s (one frame) to {longest:g} s, found {seconds:g} s"
        )
    widths = widths or built_widths(config)
    dim = config.embed_dim
    conv, inputs = 0, config.rules.input_channels(config)
    *counts, frames = config.rules.conv_frames(config, round(seconds * 16000))
    for shape, channels, count in zip(config.conv_layers, widths.conv, counts, strict=True):
        conv = conv + count * shape.kernel * inputs * channels
        inputs = channels
    positions = frames + 1 - config.pos_conv_kernel % 2
    attention, ffn = 0, 0
    for layer in widths.layers:
        joint, out, widen, narrow = map_sizes(config, layer)
        scores = 2 * frames * frames * layer.heads * config.head_dim
        attention = attention + frames * (joint + out) + scores
        ffn = ffn + frames * (widen + narrow)
    return Cost(
        conv=conv,
        projection=frames * config.rules.projection_kernel * inputs * dim,
        pos_conv=positions * config.pos_conv_kernel * dim * dim // config.pos_conv_groups,
        attention=attention,
        ffn=ffn,
        norm=0,
    )
