"""A table of two tasks, and result files as s3prl 0.4.18 writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from egs2.superb.s3prl_prune1.local.tasks import Setup, Task


def task(**changes) -> Task:
    """A task of one fold; ``changes`` replace its values."""
    values = {
        "name": "ic",
        "title": "intents",
        "downstream": "fluent_commands",
        "config": "{s3prl}/downstream/fluent_commands/config.yaml",
        "lr": 1e-4,
        "overrides": {"downstream_expert.datarc.file_path": "{fluent}"},
        "score": "accuracy",
        "metrics": ["IC"],
    }
    return Task(**{**values, **changes})


def setup(folder: Path, **changes) -> Setup:
    """Where s3prl and the corpora are, and a folder for results."""
    places = {"s3prl": "/s3prl", "fluent": "/fluent"}
    values = {"upstream_ckpt": "pruned", "folder": folder, "places": places}
    return Setup(**{**values, **changes})


def write(path: Path, lines: Sequence[str]) -> Path:
    """Write lines as s3prl does, each with an end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path
