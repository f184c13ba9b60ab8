"""ESPnet's speech recognition, spoken language understanding and diarization, with pruning."""

from __future__ import annotations

from espnet2.tasks.asr import ASRTask
from espnet2.tasks.diar import DiarizationTask
from espnet2.tasks.slu import SLUTask

from espnet_prune.espnet.registration import register
from espnet_prune.espnet.task_pruning import TaskPruning

# At import, because ESPnet's processes for several GPUs start from the class alone.
register()


class PrunedASRTask(TaskPruning, ASRTask):
    """Speech recognition: CTC, attention or transducer."""


class PrunedSLUTask(TaskPruning, SLUTask):
    """Spoken language understanding."""


class PrunedDiarizationTask(TaskPruning, DiarizationTask):
    """End-to-end diarization of ESPnet itself; this project's own is ``powerset_train``."""
