"""Every defect of ESPnet 202511 that this project meets, and what works round it.

* ``torch.save(..., "checkpoint.pth")`` writes in place: a kill in that moment leaves a truncated
  checkpoint that no ``--resume`` can read. :func:`atomic_torch_save` writes beside and renames.
* A kill after ``checkpoint.pth`` but before ``<N>epoch.pth`` and its links loses that epoch from
  n-best averaging. :func:`restore_epoch_files` makes them again from the checkpoint.
* ``--resume`` forgets that early stopping had ended the training and trains on.
  :func:`stopped_early` tells, for the trainer to respect.
* Batches that ``accum_grad`` has left over at the end of an epoch go into the next epoch's first
  step, unless the training was resumed between the two. The trainer drops their gradients.
* The RTTM reader is ``@typechecked`` with a wrong annotation (espnet#5968), and diarization
  inference returns a tuple that its own command cannot write: neither is used here; windows,
  labels and inference are this project's own.
* ``build_model_from_file`` keeps silent about keys that are missing or surplus; it is not used:
  :func:`espnet_prune.espnet.trained.load_trained` names them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from espnet_prune.ssl.files import atomic_file


@contextlib.contextmanager
def atomic_torch_save() -> Iterator[None]:
    """Make ``torch.save`` to a path atomic inside the ``with`` block."""
    save = torch.save

    def save_atomically(obj: object, f: Any, *args: Any, **kwargs: Any) -> None:
        if not isinstance(f, str | os.PathLike):
            return save(obj, f, *args, **kwargs)
        with atomic_file(f) as file:
            save(obj, file, *args, **kwargs)

    torch.save = save_atomically
    try:
        yield
    finally:
        torch.save = save


def restore_epoch_files(
    output_dir: Path,
    model_state: dict,
    epoch: int,
    criteria: Sequence[Sequence[str]],
    reporter: Any,
) -> None:
    """Write ``<epoch>epoch.pth`` and its links as the trainer would have after its checkpoint."""
    name = f"{epoch}epoch.pth"
    if not (output_dir / name).exists():
        torch.save(model_state, output_dir / name)
    _link(output_dir / "latest.pth", name)
    for phase, key, mode in criteria:
        if reporter.has(phase, key) and reporter.get_best_epoch(phase, key, mode) == epoch:
            _link(output_dir / f"{phase}.{key}.best.pth", name)


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def stopped_early(reporter: Any, patience: int | None, criterion: Sequence[str]) -> bool:
    """Whether early stopping had already ended the training that ``reporter`` recorded."""
    if patience is None or reporter.get_epoch() == 0:
        return False
    phase, key, mode = criterion
    return reporter.has(phase, key) and reporter.check_early_stopping(patience, phase, key, mode)
