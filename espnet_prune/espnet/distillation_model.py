"""Layer-wise distillation, with or without pruning, as ESPnet trains it."""

from __future__ import annotations

from typing import Any

from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch import Tensor

from espnet_prune.distillation import LayerwiseDistillation
from espnet_prune.encoder import SSLEncoder
from espnet_prune.espnet.objective import EncoderObjective
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
        self.objective = EncoderObjective(pruner, distillation, Teacher(teacher, teacher_precision))

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, **_: Any
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, statistics and weight of a batch of waveforms ``(B, T)``, samples ``(B,)``."""
        output = self.objective(self.student, speech, speech_lengths)
        loss, stats = self.objective.add_to(None, self.student)
        weight = output.lengths.sum().to(loss.dtype)
        return force_gatherable((loss, stats, weight), loss.device)

    def collect_feats(self, **_: Tensor) -> dict[str, Tensor]:
        """Nothing: no statistics stage is needed."""
        return {}
