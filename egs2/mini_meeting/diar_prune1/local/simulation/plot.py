"""Plot of how the speakers of simulated conversations take turns, beside the target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egs2.mini_meeting.diar_prune1.local.simulation.turn_taking import (
    DISTRIBUTIONS,
    SHARES,
    TurnTaking,
)
from espnet_prune.report.figure import DENSE, TARGET, new_figure, save_plot, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_turn_taking(target: TurnTaking, found: TurnTaking, name: str, path: Path) -> None:
    """Write a plot of shares, and of the distributions of turns, pauses and overlaps.

    Args:
        target: statistics of real conversations.
        found: those of the simulated ones.
        name: of the simulated ones.
        path: PNG, PDF, SVG or JPEG file.
    """
    figure = new_figure(11, 6)
    shares, *panels = figure.subplots(2, 3).flat
    both = {"target": (target, TARGET, "--"), name: (found, DENSE, "-")}
    for row, (label, (each, colour, _)) in enumerate(both.items()):
        values = [100 * getattr(each, share) for share in SHARES]
        shares.barh(np.arange(len(SHARES)) + 0.4 * row, values, 0.36, color=colour, label=label)
    shares.set_yticks(np.arange(len(SHARES)) + 0.2, list(SHARES.values()), fontsize=8)
    shares.invert_yaxis()
    shares.set_xlabel("share (%)")
    tidy(shares)
    for axes, (field, title) in zip(panels, DISTRIBUTIONS.items(), strict=True):
        for each, colour, line in both.values():
            if values := getattr(each, field):
                axes.plot(values, np.linspace(0, 100, len(values)), line, color=colour)
        _finish(axes, title)
    figure.legend(
        *shares.get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False
    )
    figure.suptitle(f"Turn-taking of {name}: {found.recordings} simulated conversations")
    save_plot(figure, path)


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=9)
    # Many are short and a few are very long.
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(left=0)
    axes.set_xticks([0, 0.5, 1, 2, 5, 10, 30], ["0", "0.5", "1", "2", "5", "10", "30"])
    axes.set_xlabel("seconds")
    axes.set_ylabel("not longer (%)")
    axes.grid(alpha=0.3)
    tidy(axes)
