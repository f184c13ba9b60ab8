"""A teacher beside a model that learns: it follows to devices, and leaves no trace in files."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from espnet_prune.encoder import SSLEncoder
from espnet_prune.inference import fast_dtype, inference_form


class Teacher(nn.Module):
    """Hidden states of an encoder that stays as it is.

    It is no part of the state dict, the optimizer or the average of checkpoints.

    Args:
        encoder: the teacher.
        precision: what it computes in, of :data:`~espnet_prune.inference.PRECISIONS`,
            or float32: see :func:`~espnet_prune.inference.fast_dtype`.
    """

    def __init__(self, encoder: SSLEncoder, precision: str = "float32"):
        super().__init__()
        self.precision = precision
        self._unregistered = (encoder.eval().requires_grad_(False),)
        self._form: tuple[SSLEncoder] | None = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True):
        # Devices and dtypes must reach the encoder, which is not registered as a submodule.
        self._unregistered[0]._apply(fn)
        self._form = None
        return super()._apply(fn, recurse)

    @torch.no_grad()
    @torch.autocast("cpu", enabled=False)  # oneDNN's products take the weights' own dtype
    def forward(self, wavs: Tensor, lengths: Tensor | None) -> list[Tensor]:
        """Hidden states ``(B, L, D)`` of waveforms ``(B, T)`` of ``lengths`` ``(B,)`` samples."""
        if self._form is None:
            dtype = fast_dtype(self.precision, wavs.device)
            self._form = (inference_form(self._unregistered[0], dtype),)
        states = self._form[0](wavs, lengths).hidden_states
        return [state.to(wavs.dtype) for state in states]
