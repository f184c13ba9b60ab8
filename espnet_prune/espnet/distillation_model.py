"""Layer-wise distillation, with or without pruning, as ESPnet trains it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch import Tensor

from espnet_prune.distillation import LayerwiseDistillation
from espnet_prune.pruning import Pruner
from espnet_prune.ssl import SSLEncoder


class ESPnetDistillationModel(AbsESPnetModel):
    """A student drawn to its teacher's hidden states while its gates close under a budget.

    Args:
        student: learns.
        teacher: stays as it is; it is no part of the state dict, the optimizer or the average.
        distillation: the loss between the two.
        pruner: the student's gates, or None to distil a model that is already small.
    """

    def __init__(
        self,
        student: SSLEncoder,
        teacher: SSLEncoder,
        distillation: LayerwiseDistillation,
        pruner: Pruner | None,
    ):
        super().__init__()
        self.student = student
        self.distillation = distillation
        self.pruner = pruner
        self._unregistered_teacher = (teacher.eval().requires_grad_(False),)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True):
        # Devices and dtypes must reach the teacher, which is not registered as a submodule.
        self._unregistered_teacher[0]._apply(fn)
        return super()._apply(fn, recurse)

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, **_: Any
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, statistics and weight of a batch of windows ``(B, T)``, samples ``(B,)``."""
        masks = self.pruner.masks() if self.pruner else None
        ours = self.student(speech, speech_lengths, masks)
        with torch.no_grad():
            theirs = self._unregistered_teacher[0](speech, speech_lengths)
        distance = self.distillation(ours.hidden_states, theirs.hidden_states, ours.lengths)
        loss = distance.total
        stats = {
            "loss_distill": distance.total.detach(),
            "l1": distance.l1.detach(),
            "cosine": distance.cosine.detach(),
        }
        if self.pruner:
            penalty = self.pruner.penalty()
            loss = loss + penalty.loss
            stats |= penalty.stats
        stats["loss"] = loss.detach()
        weight = ours.lengths.sum().to(loss.dtype)
        return force_gatherable((loss, stats, weight), loss.device)

    def collect_feats(self, **_: Tensor) -> dict[str, Tensor]:
        """Nothing: no statistics stage is needed."""
        return {}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The student at the optimizer's rate, the gates and multipliers at their own."""
        student = {"params": list(self.student.parameters())}
        return [student, *(self.pruner.parameter_groups() if self.pruner else [])]
