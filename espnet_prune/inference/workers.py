"""Independent pieces of work on a CPU's cores: a thread for each piece, not for each operation."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


class Map(Protocol):
    """What ``map`` does with one iterable, in its order; items are taken as they are needed."""

    def __call__(
        self, function: Callable[[Item], Result], items: Iterable[Item], /
    ) -> Iterable[Result]: ...


def num_workers(device: torch.device) -> int:
    """How many pieces a device computes at a time: on a CPU, one for each of PyTorch's threads."""
    return torch.get_num_threads() if device.type == "cpu" else 1


@contextlib.contextmanager
def workers(device: torch.device) -> Iterator[Map]:
    """A map whose pieces run side by side, each in one thread.

    Threads that share an operation meet at its end. A network of many small ones then waits at each
    for whichever thread another process has displaced, and eight times as long as it computes.

    Example:
        >>> import torch
        >>> from espnet_prune.inference.workers import workers
        >>> with workers(torch.device("cpu")) as each:
        ...     list(each(lambda size: torch.ones(size).sum().item(), [1, 2, 3]))
        [1.0, 2.0, 3.0]
    """
    count = num_workers(device)
    if count == 1:
        yield map
        return
    pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield partial(_in_order, pool, 2 * count)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(count)  # threads to come begin with the number that was set last


def _in_order(
    pool: ThreadPoolExecutor,
    ahead: int,
    function: Callable[[Item], Result],
    items: Iterable[Item],
) -> Iterator[Result]:
    """Results in the order of ``items``, of which no more than ``ahead`` are in work."""
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) == ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
