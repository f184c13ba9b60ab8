"""ESPnet's speech recognition, spoken language understanding and diarization, with pruning."""

from __future__ import annotations

import argparse

from espnet2.tasks.asr import ASRTask
from espnet2.tasks.diar import DiarizationTask
from espnet2.tasks.slu import SLUTask
from espnet2.train.abs_espnet_model import AbsESPnetModel

from espnet_prune.espnet.guarded_task import GuardedTask
from espnet_prune.espnet.objective import add_task_pruning_arguments, join_objective
from espnet_prune.espnet.registration import register

# At import, because ESPnet's processes for several GPUs start from the class alone.
register()


class TaskPruning(GuardedTask):
    """Prunes the SSL encoder of an ESPnet task while the task trains it, by the task's own loss.

    HJ-Pruning (Peng et al., 2023) and self-pinching gates (Xu et al., 2025) train so; with
    ``--distill_conf`` the encoder is drawn to a teacher as well. To be inherited from before the
    task. Unless asked for any of it, the training is the task's own.
    """

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The task's own, and those of pruning."""
        super().add_task_arguments(parser)
        add_task_pruning_arguments(parser)

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> AbsESPnetModel:
        """The task's own, with gates and teacher beside its encoder if asked for."""
        return join_objective(super().build_model(args), args)


class PrunedASRTask(TaskPruning, ASRTask):
    """Speech recognition: CTC, attention or transducer."""


class PrunedSLUTask(TaskPruning, SLUTask):
    """Spoken language understanding."""


class PrunedDiarizationTask(TaskPruning, DiarizationTask):
    """End-to-end diarization of ESPnet itself; this project's own is ``powerset_train``."""
