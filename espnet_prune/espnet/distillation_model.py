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
from espnet_prune.ssl.inference import PRECISIONS, inference_form

# Sparsity this near its target can be applied. The weight is far above any difference of losses.
_ON_TARGET = 0.02
_OFF_TARGET_WEIGHT = 1000.0


class ESPnetDistillationModel(AbsESPnetModel):
    """A student drawn to its teacher's hidden states while its gates close under a budget.

    Args:
        student: learns.
        teacher: stays as it is; it is no part of the state dict, the optimizer or the average.
        distillation: the loss between the two.
        pruner: the student's gates, or None to distil a model that is already small.
        teacher_precision: what the teacher computes in, of
            :data:`~espnet_prune.ssl.inference.PRECISIONS`.
    """

    def __init__(
        self,
        student: SSLEncoder,
        teacher: SSLEncoder,
        distillation: LayerwiseDistillation,
        pruner: Pruner | None,
        teacher_precision: str = "float32",
    ):
        super().__init__()
        self.student = student
        self.distillation = distillation
        self.pruner = pruner
        self.teacher_dtype = PRECISIONS[teacher_precision]
        self._unregistered_teacher = (teacher.eval().requires_grad_(False),)
        self._teacher_form: tuple[SSLEncoder] | None = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True):
        # Devices and dtypes must reach the teacher, which is not registered as a submodule.
        self._unregistered_teacher[0]._apply(fn)
        self._teacher_form = None
        return super()._apply(fn, recurse)

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, **_: Any
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, statistics and weight of a batch of windows ``(B, T)``, samples ``(B,)``."""
        masks = self.pruner.masks() if self.pruner else None
        ours = self.student(speech, speech_lengths, masks)
        theirs = self._taught(speech, speech_lengths)
        distance = self.distillation(ours.hidden_states, theirs, ours.lengths)
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
            stats["loss_on_target"] = self._on_target(distance.total, penalty.stats)
        stats["loss"] = loss.detach()
        weight = ours.lengths.sum().to(loss.dtype)
        return force_gatherable((loss, stats, weight), loss.device)

    @torch.no_grad()
    def _on_target(self, loss: Tensor, penalty: dict[str, Tensor]) -> Tensor:
        """What epochs are chosen and training is stopped by: the distillation loss on target.

        An epoch that ends while the target rises is worse than any later one, and better than
        those before it, so that patience begins with the target; an epoch whose sparsity is away
        from the target is worse than any on it.
        """
        target = self.pruner.config.target
        rising = target - penalty["target_sparsity"]
        distance = (penalty["sparsity"] - target).abs()
        away = torch.where(rising > 0, 1 + rising, distance * (distance > _ON_TARGET))
        return loss + _OFF_TARGET_WEIGHT * away

    @torch.no_grad()
    def _taught(self, speech: Tensor, speech_lengths: Tensor) -> list[Tensor]:
        """The teacher's hidden states, from its inference form on the present device."""
        if self._teacher_form is None:
            teacher = inference_form(self._unregistered_teacher[0], self.teacher_dtype)
            self._teacher_form = (teacher,)
        states = self._teacher_form[0](speech, speech_lengths).hidden_states
        return [state.to(speech.dtype) for state in states]

    def collect_feats(self, **_: Tensor) -> dict[str, Tensor]:
        """Nothing: no statistics stage is needed."""
        return {}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The student at the optimizer's rate, the gates and multipliers at their own."""
        student = {"params": list(self.student.parameters())}
        return [student, *(self.pruner.parameter_groups() if self.pruner else [])]
