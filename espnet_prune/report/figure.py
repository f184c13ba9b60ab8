"""The one engine of figures: colours, layout, and the image of it all."""

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
FORMATS = ("png", "pdf", "svg", "jpg")
"""What the suffix of a plot's file may be."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, without any global state of matplotlib."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def tidy(axes: Axes) -> None:
    """Leave only the frame lines that carry an axis."""
    axes.spines[["top", "right"]].set_visible(False)


def to_image(figure: Figure, suffix: str = "png") -> bytes:
    """The file of ``figure`` in one of ``FORMATS``."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=150)
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
    """Write ``figure`` atomically, in the format of the suffix, see :func:`check_plot`."""
    atomic_write(path, to_image(figure, check_plot(path)))
