"""Enter the front end, data types and schedules into the choices of ESPnet's own tasks."""

from __future__ import annotations

from espnet2.tasks import asr, diar, slu

from espnet_prune.espnet.data_types import enter, register_data_types
from espnet_prune.espnet.frontend import PrunedSSLFrontend
from espnet_prune.espnet.schedules import register_schedules


def register() -> None:
    """Make ``frontend: pruned_ssl`` and what else is ours known; calling it again is fine.

    Raises:
        RuntimeError: another package has taken one of the names.
    """
    register_data_types()
    register_schedules()
    for task in (asr, diar, slu):
        enter(task.frontend_choices.classes, "pruned_ssl", PrunedSSLFrontend)
