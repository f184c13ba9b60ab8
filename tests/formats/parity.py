"""What the tests of importers share: random weights, waveforms, and the error between states."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from espnet_prune.encoder import SSLEncoder

Original = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""From waveforms ``(T,)``, a batch of any lengths, to N + 1 hidden states ``(B, L, D)``."""

TOLERANCE = 1e-5
LENGTHS = (6000, 3777, 5000)  # samples; beyond the last bucket of a small model's position bias


def randomise(model: nn.Module, seed: int = 1) -> nn.Module:
    """Make every parameter random, also those that start as zeros or ones; in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def waveforms(lengths: Sequence[int] = LENGTHS) -> list[Tensor]:
    """Noise that is neither centred nor of unit variance."""
    generator = torch.Generator().manual_seed(2)
    return [0.3 + 0.5 * torch.randn(length, generator=generator) for length in lengths]


def error(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The largest difference between two lists of states of the same shapes."""
    assert len(ours) == len(theirs)
    assert all(our.shape == their.shape for our, their in zip(ours, theirs, strict=True))
    return max(float((our - their).abs().max()) for our, their in zip(ours, theirs, strict=True))


@torch.no_grad()
def error_alone(encoder: SSLEncoder, original: Original, wavs: Sequence[Tensor]) -> float:
    """Each waveform by itself, in both models."""
    return max(error(encoder(wav[None]).hidden_states, original([wav])) for wav in wavs)


@torch.no_grad()
def error_in_a_batch(
    encoder: SSLEncoder, original: Original, wavs: Sequence[Tensor], padded: bool = True
) -> float:
    """Our padded batch against the original's, over each item's own frames.

    With ``padded`` off the original sees each item alone: some let padding into their norms, or
    count frames of padding as real.
    """
    lengths = torch.tensor([len(wav) for wav in wavs])
    ours = encoder(pad_sequence(list(wavs), batch_first=True), lengths)
    worst = 0.0
    theirs = original(wavs) if padded else None
    for index, frames in enumerate(ours.lengths.tolist()):
        item = slice(index, index + 1)
        expected = original([wavs[index]]) if theirs is None else [s[item] for s in theirs]
        mine = [state[item, :frames] for state in ours.hidden_states]
        worst = max(worst, error(mine, [state[:, :frames] for state in expected]))
    return worst


def identical(a: SSLEncoder, b: SSLEncoder) -> bool:
    """Of one config, and every tensor the same."""
    ours, theirs = a.state_dict(), b.state_dict()
    return a.config == b.config and all(torch.equal(ours[key], theirs[key]) for key in ours)
