"""What the processes of one training have to agree on, so that none waits for another in vain."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from espnet_prune.storage import CheckpointError

T = TypeVar("T")


def several() -> bool:
    """Whether this training has more than one process."""
    return distributed.is_available() and distributed.is_initialized()


def of_all(value: T) -> list[T]:
    """The ``value`` of every process, by rank; to be called by all of them."""
    if not several():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def sum_of_all(values: Tensor) -> Tensor:
    """The sum of ``values`` over all processes, without gradient."""
    values = values.detach().clone()
    if several():
        distributed.all_reduce(values)
    return values


@contextlib.contextmanager
def ending_together(batches: Iterable[T]) -> Iterator[Iterator[T]]:
    """``batches`` that end in all processes where one fails to read its own.

    ESPnet's loops tell each other that one has no more batches, and nothing else: an error would
    leave the others waiting. At the end of the ``with`` block it is raised in all processes.
    """
    failed: list[Exception] = []

    def until_failure() -> Iterator[T]:
        try:
            yield from batches
        except Exception as error:
            failed.append(error)

    yield until_failure()
    messages = of_all(str(failed[0]) if failed else None)
    if failed:
        raise failed[0]
    for rank, message in enumerate(messages):
        if message is not None:
            raise ValueError(f"process {rank} of {len(messages)}: {message}")


def is_of_another(error: Exception) -> bool:
    """Whether ``error`` says that another process is gone."""
    return isinstance(error, distributed.DistError) or bool(
        re.search("Connection (closed|reset) by peer", str(error))
    )


def require_shared(checkpoint: Path) -> None:
    """Refuse to train where processes would not all resume from the same ``checkpoint``.

    Raises:
        CheckpointError: some have another one, or none.
    """
    found = of_all(checkpoint.stat().st_size if checkpoint.exists() else None)
    if len(set(found)) > 1:
        sizes = ", ".join("none" if size is None else f"{size} bytes" for size in found)
        raise CheckpointError(
            f"{checkpoint}: expected the same file in all processes, found {sizes}; give an "
            "output_dir on a file system that all machines share"
        )


def nan_of_any(value: Tensor, mean: Tensor) -> Tensor:
    """The ``mean`` of a ``value`` over processes, NaN where one of them has NaN."""
    return torch.where(sum_of_all(value.isnan().any().to(mean.dtype)) > 0, torch.nan, mean)
