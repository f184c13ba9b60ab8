"""What all plots share: colours, layout, and writing a PNG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_prune.storage.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DENSE, PRUNED, DISTILLED, TARGET = "#0072B2", "#D55E00", "#009E73", "#444444"
BACKGROUND = "#DDE3E8"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, without any global state of matplotlib."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def tidy(axes: Axes) -> None:
    """Leave only the frame lines that carry an axis."""
    axes.spines[["top", "right"]].set_visible(False)


def whole_epochs(axes: Axes) -> None:
    """Label whole epochs only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


FORMATS = ("png", "pdf", "svg", "jpg")
"""What the suffix of a plot's file may be."""


def to_png(figure: Figure) -> bytes:
    """The PNG file of ``figure``."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def check_plot(path: Path) -> str:
    """The format that the suffix of a plot's file names.

    Raises:
        ValueError: it names none of ``FORMATS``.
    """
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise ValueError(f"{path}: expected a suffix of {', '.join(FORMATS)}; rename the plot")
    return suffix


def save_plot(figure: Figure, path: Path) -> None:
    """Write ``figure`` atomically, in the format of the suffix.

    Raises:
        ValueError: see :func:`check_plot`.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format=check_plot(path), dpi=150)
    atomic_write(path, buffer.getvalue())
