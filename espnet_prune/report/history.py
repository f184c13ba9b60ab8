"""The statistics of every epoch, out of the checkpoint that ESPnet's trainer resumes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from espnet_prune.formats.pickles import REPORTED, load_pickle
from espnet_prune.storage import CheckpointError


@dataclass(frozen=True)
class History:
    """Statistics of one training, by epoch (from 1), split (``train``, ``valid``) and name."""

    path: Path  # the checkpoint that they come from
    epochs: Mapping[int, Mapping[str, Mapping[str, Any]]]

    def curve(self, split: str, name: str) -> tuple[list[int], list[float]]:
        """The epochs that have a finite value of a statistic, and these values.

        Raises:
            CheckpointError: no epoch has one.
        """
        values = {
            epoch: float(splits[split][name])
            for epoch, splits in sorted(self.epochs.items())
            if name in splits.get(split, ()) and math.isfinite(splits[split][name])
        }
        if not values:
            raise CheckpointError(
                f"{self.path}: expected the statistic {name} of {split}, found "
                f"{self.names(split)}; train again with the task that reports it"
            )
        return list(values), list(values.values())

    def names(self, split: str) -> list[str]:
        """The statistics of a split, in alphabetical order."""
        return sorted({key for splits in self.epochs.values() for key in splits.get(split, ())})

    @property
    def steps(self) -> int:
        """Batches that it has trained on, over all epochs."""
        return max(int(splits["train"]["total_count"]) for splits in self.epochs.values())

    @property
    def seconds(self) -> float:
        """Time that training and validation took, over all epochs."""
        splits = (split for epoch in self.epochs.values() for split in epoch.values())
        return sum(_seconds(split["time"]) for split in splits)


def _seconds(time: timedelta | Mapping[str, float]) -> float:
    # ESPnet 202511 writes a duration, 202611 what can be read without one.
    return time.total_seconds() if isinstance(time, timedelta) else time["__timedelta_seconds__"]


def read_history(checkpoint: Path) -> History:
    """Read the statistics of a training that has finished at least one epoch."""
    return History(checkpoint, read_checkpoint(checkpoint)["reporter"]["stats"])


def read_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """Read what ESPnet's trainer resumes from: model, optimizers, schedulers, statistics.

    Raises:
        CheckpointError: the file is truncated, or no checkpoint of ESPnet's trainer.
    """
    state = load_pickle(checkpoint, also=REPORTED)
    try:
        parts = {part: state[part] for part in ("model", "optimizers", "schedulers")}
        return {**parts, "reporter": {"stats": state["reporter"]["stats"]}}
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{checkpoint}: expected a checkpoint that ESPnet's trainer wrote, found another file "
            f"({error!r}); train again"
        ) from error
