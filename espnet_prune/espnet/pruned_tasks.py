"""ESPnet's tasks, guarded: what fails is told, and a kill at any moment loses nothing."""

from __future__ import annotations

from espnet2.tasks import asr, diar, slu

from espnet_prune.espnet.guarded_task import GuardedTask
from espnet_prune.espnet.registration import adapt

# For where the hook is off.
for module in (asr, diar, slu):
    adapt(module)


class PrunedASRTask(GuardedTask, asr.ASRTask):
    """Speech recognition: CTC, attention or transducer."""


class PrunedSLUTask(GuardedTask, slu.SLUTask):
    """Spoken language understanding."""


class PrunedDiarizationTask(GuardedTask, diar.DiarizationTask):
    """End-to-end diarization of ESPnet itself; this project's own is ``powerset_train``."""
