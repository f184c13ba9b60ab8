"""The self-pinching gate: one learnable threshold for all the weights, or units, of a layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SelfPinching(nn.Module):
    """Keeps what is at least as large as a threshold t, which is learned with the weights.

    After Xu et al. (2025, "Effective and efficient one-pass compression of speech foundation
    models using sparsity-aware self-pinching gates"), of which the formula is not public: this is
    a reconstruction from its abstract: gates tied within a layer, each a single learnable
    threshold, trained with the uncompressed model in one stage. Forward, the mask is
    1[score >= t]; backward, sigmoid((score - t) / (temperature * scale)), straight through, so
    that the loss moves the threshold and the weights move across it, both ways.

    Thresholds are learned in units of ``scale``, the standard deviation of the scores at the
    start (weights are some 1e-2), over ``offset``; at the start nothing is closed, but for what
    lies within 1/20 of a scale of the offset.

    Args:
        scores: what is compared, of any shape, at the start.
        offset: where t is when the parameter is 0.
        temperature: softness of the gradient, in units of the scale.

    Attributes:
        threshold: the one parameter ``()``; its sign means nothing.

    Example:
        >>> import torch
        >>> from espnet_prune.pruning import SelfPinching
        >>> scores = torch.tensor([1.0, 2.0, 3.0, 4.0])
        >>> gate = SelfPinching(scores, offset=torch.tensor(2.5), temperature=0.1)
        >>> gate(scores).tolist()
        [0.0, 0.0, 1.0, 1.0]
    """

    initial = 0.05
    offset: Tensor
    scale: Tensor

    def __init__(self, scores: Tensor, offset: Tensor, temperature: float):
        super().__init__()
        self.temperature = temperature
        self.threshold = nn.Parameter(torch.tensor(self.initial))
        self.register_buffer("offset", offset.detach().clone())
        spread = scores.detach().std(correction=0)
        self.register_buffer("scale", spread.clamp(min=torch.finfo(spread.dtype).tiny))

    @property
    def value(self) -> Tensor:
        """The threshold t itself ``()``, in units of the scores."""
        return self.offset + self.scale * self.threshold.abs()

    def margin(self, scores: Tensor) -> Tensor:
        """How far above the threshold each score is, in units of the scale."""
        return (scores - self.offset) / self.scale - self.threshold.abs()

    def forward(self, scores: Tensor) -> Tensor:
        """The mask of ``scores``, 0 or 1 each, differentiable straight through."""
        margin = self.margin(scores)
        soft = torch.sigmoid(margin / self.temperature)
        return (margin >= 0).to(soft.dtype) + (soft - soft.detach())


def thresholds(gates: nn.Module) -> dict[str, float]:
    """The threshold of each self-pinching gate in ``gates``, in units of the weights, by layer.

    Example:
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.pruning import PinchedUnits, thresholds
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> list(thresholds(PinchedUnits(encoder, units=("head",))))
        ['head_0', 'head_1', 'head_2', 'head_3']
    """
    return {
        name.split(".")[-1].replace("/", "."): float(gate.value.detach())
        for name, gate in gates.named_modules()
        if isinstance(gate, SelfPinching)
    }
