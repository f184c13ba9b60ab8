"""Layer-wise distillation, with or without pruning, as ESPnet trains it."""

from __future__ import annotations

from typing import Any

from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch import Tensor

from espnet_prune.distillation import LayerwiseDistillation
from espnet_prune.encoder import SSLEncoder
from espnet_prune.espnet.schedules import at_own_rate
from espnet_prune.espnet.teacher import Teacher
from espnet_prune.pruning import Pruner


class ESPnetDistillationModel(AbsESPnetModel):
    """A student drawn to its teacher's hidden states while its gates close under a budget.

    Args:
        student: learns.
        teacher: stays as it is; it is no part of the state dict, the optimizer or the average.
        distillation: the loss between the two; its projections learn with the student.
        pruner: the student's gates, or None to distil a model that is already small.
        teacher_precision: what the teacher computes in, of
            :data:`~espnet_prune.inference.PRECISIONS`.
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
        self.teacher = Teacher(teacher, teacher_precision)

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, **_: Any
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, statistics and weight of a batch of waveforms ``(B, T)``, samples ``(B,)``."""
        if self.pruner:
            ours = self.pruner(self.student, speech, speech_lengths)
        else:
            ours = self.student(speech, speech_lengths)
        theirs = self.teacher(speech, speech_lengths)
        distance = self.distillation(ours.hidden_states, theirs, ours.lengths)
        loss = distance.total
        stats = {
            "loss_distill": distance.total.detach(),
            "l1": distance.l1.detach(),
            "cosine": distance.cosine.detach(),
        }
        if self.pruner:
            penalty = self.pruner.penalty(self.student)
            loss = loss + penalty.loss
            stats |= penalty.stats
            stats["loss_on_target"] = penalty.on_target(distance.total)
        stats["loss"] = loss.detach()
        weight = ours.lengths.sum().to(loss.dtype)
        return force_gatherable((loss, stats, weight), loss.device)

    def collect_feats(self, **_: Tensor) -> dict[str, Tensor]:
        """Nothing: no statistics stage is needed."""
        return {}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Student and projections at the optimizer's rate, gates and multipliers at their own."""
        learners = {"params": [*self.student.parameters(), *self.distillation.parameters()]}
        return [learners, *at_own_rate(self.pruner.parameter_groups() if self.pruner else [])]
