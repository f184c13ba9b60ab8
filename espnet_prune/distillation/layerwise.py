"""Layer-wise distillation: hidden states of chosen layers drawn to a teacher's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from espnet_prune.encoder.norm import length_mask


class DistillationLoss(NamedTuple):
    """The weighted sum and its parts, scalars ``()``.

    Example:
        >>> import torch
        >>> from espnet_prune.distillation import LayerwiseDistillation
        >>> states = [torch.ones(1, 4, 8)] * 3
        >>> loss = LayerwiseDistillation(layers=[0, 2])(states, states, torch.tensor([4]))
        >>> round(float(loss.total), 3), float(loss.l1), round(float(loss.cosine), 3)
        (-1.0, 0.0, 1.0)
    """

    total: Tensor
    l1: Tensor
    cosine: Tensor


class LayerwiseDistillation(nn.Module):
    """Mean L1 distance minus mean cosine similarity over layers and frames.

    DPHuBERT's loss (Peng et al., 2023). Its linear projections of the student's states, one per
    group of layers, start as the identity and are thrown away after training; without groups
    there is none, as in Han et al. (2025).

    Args:
        layers: indices into the hidden states; 0 is the Transformer's input.
        projection_groups: layers that share a projection, e.g. ``[[0], [4, 8, 12]]``; a layer in
            no group has none.
        width: D of the hidden states; needed for projections.

    Raises:
        ValueError: no layer, or one below 0; no weight above zero, or one below; a group of layers
            that are not distilled, or are in two groups; projections of unknown width.

    Example:
        >>> import torch
        >>> from espnet_prune import PRESETS, SSLEncoder
        >>> from espnet_prune.distillation import LayerwiseDistillation
        >>> teacher = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> student = SSLEncoder(PRESETS["whisper_tiny_en"]().dense(ffn=512))
        >>> states, lengths = student(torch.zeros(1, 8000))
        >>> wanted = teacher(torch.zeros(1, 8000)).hidden_states
        >>> LayerwiseDistillation(layers=[0, 2, 4])(states, wanted, lengths).total.backward()
    """

    def __init__(
        self,
        layers: Sequence[int],
        l1_weight: float = 1.0,
        cosine_weight: float = 1.0,
        projection_groups: Sequence[Sequence[int]] = (),
        width: int | None = None,
    ):
        super().__init__()
        weights = (l1_weight, cosine_weight)
        positive = any(weights) and all(0 <= weight < math.inf for weight in weights)
        if not layers or min(layers) < 0 or not positive:
            raise ValueError(
                f"expected layers to distil and a weight above zero, found layers {list(layers)}, "
                f"l1_weight {l1_weight}, cosine_weight {cosine_weight}"
            )
        grouped = [layer for group in projection_groups for layer in group]
        if len(grouped) != len(set(grouped)) or not set(grouped) <= set(layers):
            raise ValueError(
                f"expected projection_groups of different layers among {list(layers)}, found "
                f"{[list(group) for group in projection_groups]}"
            )
        if grouped and width is None:
            raise ValueError("expected the width of the states beside projection_groups")
        self.layers = tuple(layers)
        self.l1_weight, self.cosine_weight = l1_weight, cosine_weight
        self.group_of = {
            layer: index for index, group in enumerate(projection_groups) for layer in group
        }
        self.projections = nn.ModuleList(_identity(width or 0) for _ in projection_groups)

    def forward(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], lengths: Tensor
    ) -> DistillationLoss:
        """The loss over the real frames ``lengths`` ``(B,)`` of N + 1 states ``(B, L, D)`` each."""
        last = min(len(student), len(teacher)) - 1
        if max(self.layers) > last:
            raise ValueError(f"expected layers up to {last}, found {self.layers} to distil")
        inside = length_mask(lengths, student[0].size(1)).to(student[0].dtype)
        share = inside / (inside.sum() * len(self.layers))
        l1 = cosine = student[0].new_zeros(())
        for layer in self.layers:
            ours, theirs = self._projected(student, layer), teacher[layer].detach()
            l1 = l1 + (share * (ours - theirs).abs().mean(-1)).sum()
            cosine = cosine + (share * F.cosine_similarity(ours, theirs, dim=-1)).sum()
        return DistillationLoss(self.l1_weight * l1 - self.cosine_weight * cosine, l1, cosine)

    def _projected(self, states: Sequence[Tensor], layer: int) -> Tensor:
        group = self.group_of.get(layer)
        return states[layer] if group is None else self.projections[group](states[layer])


def _identity(width: int) -> nn.Linear:
    projection = nn.Linear(width, width)
    nn.init.eye_(projection.weight)
    nn.init.zeros_(projection.bias)
    return projection
