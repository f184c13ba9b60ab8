"""Error rates of an epoch: its errors over its speech, however both are spread over batches.

ESPnet averages the statistics of batches with the weight of their loss, here frames. Errors over
speech would come out wrong, silent batches beyond all measure. So a model gives its errors per
frame, and the speech per frame with them: means over frames that stay exact over processes. What
the reporter gets is errors over speech, weighted by speech.
"""

from __future__ import annotations

from typing import Any

from espnet2.train.reporter import SubReporter
from torch import Tensor

from espnet_prune.diarization.powerset import FrameErrors

_RATES = ("der", "miss", "false_alarm", "confusion")
_SPEECH = "speech"


def per_frame(errors: FrameErrors, frames: Tensor) -> dict[str, Tensor]:
    """The statistics of a batch of ``frames`` ``()``, its weight: errors and speech per frame."""
    speech = errors.speech / frames
    return {**{name: getattr(errors, name) * speech for name in _RATES}, _SPEECH: speech}


def relate_to_speech(reporter: SubReporter) -> None:
    """Make ``reporter`` take the statistics of :func:`per_frame` as errors over speech."""
    register = reporter.register

    def related(stats: dict[str, Any], weight: Any = None) -> None:
        speech = stats.get(_SPEECH)
        if speech is None:
            return register(stats, weight)
        register({k: v for k, v in stats.items() if k not in (*_RATES, _SPEECH)}, weight)
        register({name: stats[name] / speech for name in _RATES}, weight * speech)

    reporter.register = related
