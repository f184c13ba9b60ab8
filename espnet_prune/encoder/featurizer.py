"""An encoder and the weighted sum of its layers: what a downstream model consumes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from espnet_prune.encoder.model import EncoderOutput, SSLEncoder


class Featurizer(nn.Module):
    """Hidden states mixed by a learned weight per layer.

    The weights are free, without softmax, as in the diarization system of Han et al. (2025);
    they start at 1 / (N + 1), the plain mean. With ``freeze`` only they learn, and the encoder
    stays in evaluation mode.

    Attributes:
        through: what a training runs the encoder through, with the encoder, waveforms and lengths
            as arguments; None for the encoder alone. It is no part of the state dict.

    Example:
        >>> import torch
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.encoder import Featurizer
        >>> featurizer = Featurizer(SSLEncoder.from_pretrained("whisper_tiny_en"), freeze=True)
        >>> features, frames = featurizer(torch.zeros(1, 16000))
        >>> features.shape, frames
        (torch.Size([1, 50, 384]), tensor([50]))
    """

    def __init__(self, encoder: SSLEncoder, freeze: bool = False):
        super().__init__()
        self.encoder = encoder.requires_grad_(not freeze)
        self.freeze = freeze
        self.through: Callable[[SSLEncoder, Tensor, Tensor | None], EncoderOutput] | None = None
        states = len(encoder.config.layers) + 1
        self.weights = nn.Parameter(torch.full((states,), 1.0 / states))

    @property
    def output_dim(self) -> int:
        """Width D of the features."""
        return self.encoder.config.embed_dim

    def train(self, mode: bool = True) -> Featurizer:
        super().train(mode)
        if self.freeze:
            self.encoder.eval()
        return self

    def forward(self, wavs: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Waveforms ``(B, T)``, lengths ``(B,)`` to features ``(B, L, D)`` and frames ``(B,)``."""
        if self.through is None:
            states, frames = self.encoder.stream(wavs, lengths)
            return self.mix(states), frames
        output = self.through(self.encoder, wavs, lengths)
        return self.mix(output.hidden_states), output.lengths

    def mix(self, states: Iterable[Tensor]) -> Tensor:
        """The weighted sum ``(B, L, D)`` of N + 1 hidden states ``(B, L, D)``."""
        weighted = (w * state for w, state in zip(self.weights, states, strict=True))
        return functools.reduce(torch.add, weighted)
