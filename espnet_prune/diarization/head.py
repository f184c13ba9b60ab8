"""What turns an encoder into a diarization model: its plain numbers, and its head."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torchaudio.models import Conformer

from espnet_prune.diarization.inference_head import InferenceHead
from espnet_prune.encoder import ConfigError
from espnet_prune.encoder.norm import length_mask
from espnet_prune.encoder.typed import settle_types

# Far above any head: sizes that can be built.
_MOST = {"hidden": 10**5, "num_layers": 100, "num_heads": 1000, "ffn": 10**6, "kernel": 10**4}
_MAX_SPEAKERS, _LONGEST = 8, 3600


@dataclass(frozen=True)
class HeadConfig:
    """Shape of the head; the defaults are those of Han et al. (2025)'s code.

    ``hidden`` is the width after the projection; ``num_layers`` to ``kernel`` (frames, odd) are of
    the Conformer, as is ``norm``, that of its convolutions: ``group`` takes its statistics per
    item, so that neither the batch nor the number of processes changes what is learned; ``batch``
    is the authors' own.

    Raises:
        ConfigError: a value of another type or out of its range, or a width that the heads do not
            share out.
    """

    hidden: int = 256
    num_layers: int = 4
    num_heads: int = 4
    ffn: int = 1024
    kernel: int = 31
    dropout: float = 0.1
    norm: Literal["group", "batch"] = "group"

    def __post_init__(self) -> None:
        settle_types(self)
        for name, most in _MOST.items():
            if not 1 <= (value := getattr(self, name)) <= most:
                raise ConfigError(f"expected a head's {name} from 1 to {most}, found {value}")
        if self.kernel % 2 == 0:
            raise ConfigError(f"expected a head's kernel of an odd number, found {self.kernel}")
        if not 0 <= self.dropout <= 1:
            raise ConfigError(f"expected a head's dropout from 0 to 1, found {self.dropout}")
        if self.hidden % self.num_heads:
            raise ConfigError(
                f"expected a head's num_heads to divide its width of {self.hidden}, found "
                f"{self.num_heads}"
            )


@dataclass(frozen=True)
class DiarizationConfig:
    """What turns an encoder into a diarization model.

    Attributes:
        head: shape of the head.
        max_speakers: speakers told apart within one window, S.
        max_simultaneous: speakers active in one frame at most.
        window_size: seconds of audio that the model was trained on.
    """

    head: HeadConfig = field(default_factory=HeadConfig)
    max_speakers: int = 4
    max_simultaneous: int = 2
    window_size: float = 8.0

    def __post_init__(self) -> None:
        settle_types(self)
        # The loss tries every order of the speakers, and the classes grow with their sets.
        if not 1 <= self.max_simultaneous <= self.max_speakers <= _MAX_SPEAKERS:
            raise ConfigError(
                f"expected 1 <= max_simultaneous <= max_speakers <= {_MAX_SPEAKERS}, found "
                f"{self.max_simultaneous!r} and {self.max_speakers!r}"
            )
        if not 0 < self.window_size <= _LONGEST:
            raise ConfigError(
                f"expected a window_size above zero, {_LONGEST} s at most, found "
                f"{self.window_size!r}"
            )


class PowersetHead(nn.Module):
    """Linear, LayerNorm, Conformer, Linear, log-softmax."""

    def __init__(self, input_dim: int, num_classes: int, config: HeadConfig):
        super().__init__()
        self.projection = nn.Linear(input_dim, config.hidden)
        self.norm = nn.LayerNorm(config.hidden)
        self.conformer = Conformer(
            config.hidden,
            config.num_heads,
            config.ffn,
            config.num_layers,
            config.kernel,
            config.dropout,
            use_group_norm=config.norm == "group",
        )
        self.classifier = nn.Linear(config.hidden, num_classes)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Features ``(B, L, D)``, frames ``(B,)`` to log-probabilities ``(B, L, K)``."""
        padding = ~length_mask(lengths, features.size(1))
        x = self.norm(self.projection(features)).transpose(0, 1)
        for layer in self.conformer.conformer_layers:  # its own forward reads the lengths back
            x = layer(x, padding)
        return self.classifier(x).log_softmax(dim=-1).transpose(0, 1)

    def inference_form(self, dtype: torch.dtype = torch.float32) -> InferenceHead:
        """The form that is for inference alone, in one precision, where the head is."""
        return InferenceHead(self, dtype)
