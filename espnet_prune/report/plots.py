"""All plots of a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from espnet_prune.data import read_rttm, read_uem
from espnet_prune.data.tables import entry_of
from espnet_prune.report.curves_plot import plot_pruning, plot_training
from espnet_prune.report.figure import save_plot
from espnet_prune.report.history import read_history
from espnet_prune.report.inputs import Inputs
from espnet_prune.report.results import encoder_config, read_scores
from espnet_prune.report.structure_plot import plot_structure
from espnet_prune.report.timeline_plot import (
    Hypothesis,
    draw_timeline,
    median_recording,
    timeline_name,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRUCTURE = "kept_structure.png"
PRUNING = "pruning_curves.png"
TRAINING = "training_curves.png"


def plot_all(inputs: Inputs, folder: Path) -> None:
    """Write every plot as a PNG to ``folder``.

    Raises:
        CheckpointError: a training did not report what its plot shows.
        DataError: an RTTM or UEM file is malformed.
    """
    dense, pruned = encoder_config(inputs.dense.model), encoder_config(inputs.pruned.model)
    plot_structure(dense, pruned, folder / STRUCTURE)
    plot_pruning(
        read_history(inputs.prune),
        read_history(inputs.distill) if inputs.distill else None,
        folder / PRUNING,
    )
    plot_training(
        read_history(inputs.dense.checkpoint),
        read_history(inputs.pruned.checkpoint),
        folder / TRAINING,
    )
    recording = median_recording(read_scores(inputs.pruned.scores))
    save_plot(draw_recording(inputs, recording), folder / timeline_name(recording))


def draw_recording(inputs: Inputs, recording: str) -> Figure:
    """Draw the timeline of a scored recording: reference, dense and pruned model.

    Raises:
        DataError: an RTTM, UEM or score file is malformed, or knows nothing of the recording.
    """
    hypotheses = [
        Hypothesis(
            name,
            read_rttm(files.rttm).get(recording, []),
            entry_of(recording, read_scores(files.scores)["recordings"], files.scores)["der"],
        )
        for name, files in (("dense", inputs.dense), ("pruned", inputs.pruned))
    ]
    reference = read_rttm(inputs.reference).get(recording, [])
    return draw_timeline(
        reference, hypotheses, entry_of(recording, read_uem(inputs.uem), inputs.uem)
    )
