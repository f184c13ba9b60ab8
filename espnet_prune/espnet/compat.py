"""Every defect of ESPnet 202511 that this project meets, and what works round it.

* ``torch.save(..., "checkpoint.pth")`` writes in place: a kill in that moment leaves a truncated
  checkpoint that no ``--resume`` can read. :func:`atomic_torch_save` writes beside and renames.
* ESPnet unpickles ``checkpoint.pth``, ``<N>epoch.pth`` and what ``--init_param`` names, which runs
  whatever program is in them. :func:`tensors_only` makes it read data alone.
* A kill after ``checkpoint.pth`` but before ``<N>epoch.pth`` and its links loses that epoch from
  n-best averaging, or leaves files that are no longer among the n best.
  :func:`restore_epoch_files` makes and removes them from the checkpoint.
* A step whose gradient norm is not finite is skipped, and a batch whose loss is not finite left
  out of the mean: a training of nothing ends well. :mod:`espnet_prune.espnet.finite` stops it.
* ``--resume`` forgets that early stopping had ended the training and trains on.
  :func:`stopped_early` tells, for the trainer to respect.
* Batches that ``accum_grad`` has left over at the end of an epoch go into the next epoch's first
  step, unless the training was resumed between the two. The trainer drops their gradients.
* Statistics of several processes are averaged without the NaN of some of them, so that a loss that
  is not finite in one goes unseen, in validation for good. :func:`nan_of_any_process` keeps it.
* One process that fails to read its batches leaves the others waiting for it.
  :func:`~espnet_prune.espnet.processes.ending_together` ends them all.
* ``espnet2.bin.launch`` does not end the other processes where one has failed (it kills the one
  that has ended already): so they have to end by themselves.
* The loss that is reported of one process is divided by ``accum_grad``, because ESPnet divides it
  in place. Models here report a copy.
* ``use_amp: true`` is CUDA's alone: on a CPU it does nothing. :func:`amp_on_cpu` makes it bfloat16
  there, too, where the processor has instructions for it.
* The RTTM reader is ``@typechecked`` with a wrong annotation (espnet#5968), and diarization
  inference returns a tuple that its own command cannot write: neither is used here; windows,
  labels and inference are this project's own.
* ``build_model_from_file`` keeps silent about keys that are missing or surplus; it is not used:
  :func:`espnet_prune.formats.espnet.load_trained` names them.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from espnet2.train import trainer
from torch import nn

from espnet_prune.espnet.processes import nan_of_any
from espnet_prune.formats.pickles import REPORTED, load_pickle
from espnet_prune.inference import fast_dtype
from espnet_prune.storage.files import atomic_file, sweep


@contextlib.contextmanager
def atomic_torch_save() -> Iterator[None]:
    """Make ``torch.save`` to a path atomic inside the ``with`` block."""
    save = torch.save

    def save_atomically(obj: object, f: Any, *args: Any, **kwargs: Any) -> None:
        if not isinstance(f, str | os.PathLike):
            return save(obj, f, *args, **kwargs)
        with atomic_file(f) as file:
            save(obj, file, *args, **kwargs)

    with replaced(torch, save=save_atomically):
        yield


@contextlib.contextmanager
def tensors_only() -> Iterator[None]:
    """Make ``torch.load`` refuse all but tensors and plain values inside the ``with`` block."""
    load = torch.load

    def load_data(f: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("weights_only") or not isinstance(f, str | os.PathLike):
            return load(f, *args, **{**kwargs, "weights_only": True})
        return load_pickle(Path(f), also=REPORTED)

    with replaced(torch, load=load_data):
        yield


@contextlib.contextmanager
def amp_on_cpu() -> Iterator[None]:
    """Make ``use_amp: true`` train and validate in bfloat16 on a CPU inside the ``with`` block.

    On a processor without bfloat16 it stays float32 (:func:`fast_dtype`).
    """
    scaler = functools.partial(trainer.GradScaler, enabled=False)  # bfloat16 needs no scale

    def autocast(first: bool | str, enabled: bool | None = None, **_: Any) -> torch.autocast:
        # autocast(enabled) in ESPnet 202511, autocast("cuda", enabled=enabled) in 202611
        wanted = first if enabled is None else enabled
        enabled = bool(wanted) and fast_dtype("bfloat16") == torch.bfloat16
        return torch.autocast("cpu", torch.bfloat16, enabled)

    with replaced(trainer, GradScaler=scaler, autocast=autocast):
        yield


@contextlib.contextmanager
def nan_of_any_process() -> Iterator[None]:
    """Make the mean loss of several processes NaN where one of theirs is, inside the block."""
    average = trainer.recursive_average

    def average_all(stats: Any, weight: torch.Tensor, distributed: bool = False) -> Any:
        means, total = average(stats, weight, distributed)
        if distributed and stats.get("loss") is not None:
            means["loss"] = nan_of_any(stats["loss"], means["loss"])
        return means, total

    with replaced(trainer, recursive_average=average_all):
        yield


def restore_epoch_files(folder: Path, model: nn.Module, reporter: Any, options: Any) -> None:
    """Write ``<N>epoch.pth`` and its links as the trainer would have after its checkpoint.

    The files of epochs that are no longer among the best go, and what killed writers have left.
    """
    for left in folder.glob(".*.tmp"):
        sweep(folder / left.name[1:].removesuffix(".tmp").rpartition(".")[0])
    epoch, keep = reporter.get_epoch(), int(np.max(options.keep_nbest_models))
    name = f"{epoch}epoch.pth"
    if not (folder / name).exists():
        torch.save(model.state_dict(), folder / name)
    links, kept = ["latest.pth"], set[int]()
    for phase, key, mode in options.best_model_criterion:
        if reporter.has(phase, key):
            best = reporter.sort_epochs(phase, key, mode)
            kept.update(best[:keep])
            links += [f"{phase}.{key}.best.pth"] if best[0] == epoch else []
    for link in links:
        (folder / link).unlink(missing_ok=True)
        (folder / link).symlink_to(name)
    for surplus in set(range(1, epoch)) - kept:
        (folder / f"{surplus}epoch.pth").unlink(missing_ok=True)


@contextlib.contextmanager
def replaced(module: ModuleType, **functions: Any) -> Iterator[None]:
    """Put ``functions`` in the place of those of a module inside the ``with`` block."""
    kept = {name: getattr(module, name) for name in functions}
    vars(module).update(functions)
    try:
        yield
    finally:
        vars(module).update(kept)


def stopped_early(reporter: Any, options: Any) -> bool:
    """Whether early stopping had already ended the training that ``reporter`` recorded."""
    phase, key, mode = options.early_stopping_criterion
    return (
        options.patience is not None
        and reporter.has(phase, key)
        and reporter.check_early_stopping(options.patience, phase, key, mode)
    )
