"""All plots of a report."""

from __future__ import annotations

from pathlib import Path

from espnet_prune.diarization import read_rttm, read_uem
from espnet_prune.report.curves_plot import plot_pruning, plot_training
from espnet_prune.report.history import read_history
from espnet_prune.report.inputs import Inputs
from espnet_prune.report.results import encoder_config, read_scores
from espnet_prune.report.structure_plot import plot_structure
from espnet_prune.report.timeline_plot import Hypothesis, median_recording, plot_timeline


def plot_all(inputs: Inputs, folder: Path) -> None:
    """Write every plot as a PNG to ``folder``.

    Raises:
        CheckpointError: a training did not report what its plot shows.
        DataError: an RTTM or UEM file is malformed.
    """
    dense, pruned = encoder_config(inputs.dense.model), encoder_config(inputs.pruned.model)
    plot_structure(dense, pruned, folder / "kept_structure.png")
    plot_pruning(
        read_history(inputs.prune),
        read_history(inputs.distill) if inputs.distill else None,
        folder / "pruning_curves.png",
    )
    plot_training(
        read_history(inputs.dense.checkpoint),
        read_history(inputs.pruned.checkpoint),
        folder / "training_curves.png",
    )
    _plot_median_recording(inputs, folder)


def _plot_median_recording(inputs: Inputs, folder: Path) -> None:
    recording = median_recording(read_scores(inputs.pruned.scores))
    hypotheses = [
        Hypothesis(
            name,
            read_rttm(files.rttm).get(recording, []),
            read_scores(files.scores)["recordings"][recording]["der"],
        )
        for name, files in (("dense", inputs.dense), ("pruned", inputs.pruned))
    ]
    plot_timeline(
        read_rttm(inputs.reference)[recording],
        hypotheses,
        read_uem(inputs.uem)[recording],
        folder / f"timeline_{recording}.png",
    )
