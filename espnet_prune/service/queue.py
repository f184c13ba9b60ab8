"""Jobs in threads, of which a bounded number runs and a bounded number waits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")

_GLANCE = 0.25  # seconds from one look at whether somebody still waits to the next


class Unavailable(Exception):
    """There is no room for a request at present; the text says what was expected."""


class Abandoned(Exception):
    """Nobody waits for the result any more."""


class JobQueue:
    """Run ``workers`` jobs at a time, let ``waiting`` more wait; used from one event loop.

    ``taken`` of the ``places`` are in use.
    """

    def __init__(self, workers: int, waiting: int):
        self.places, self.taken = workers + waiting, 0
        threads = max(1, torch.get_num_threads() // workers)
        self._pool = ThreadPoolExecutor(
            workers, initializer=torch.set_num_threads, initargs=(threads,)
        )

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place during the ``with`` block.

        Raises:
            Unavailable: there is none, or the service ended before the block did.
        """
        if self.taken >= self.places:
            raise Unavailable(f"expected a free place, found all {self.places} taken")
        self.taken += 1
        try:
            yield
        except asyncio.CancelledError as error:
            raise Unavailable("expected more time, found that the service is ending") from error
        finally:
            self.taken -= 1

    async def run(
        self, job: Callable[[threading.Event], T], gone: Callable[[], Awaitable[bool]]
    ) -> T:
        """The result of a job, when its turn has come.

        Args:
            job: is given an event that is set once nobody waits for it; it then ends soon.
            gone: whether whoever waits for the result has left.

        Raises:
            Abandoned: they have; the job has ended.
        """
        ended = threading.Event()
        submitted = self._pool.submit(job, ended)
        future = asyncio.wrap_future(submitted)
        try:
            while not (await asyncio.wait({future}, timeout=_GLANCE))[0]:
                if await gone():
                    raise Abandoned
            return future.result()
        finally:
            ended.set()
            if not submitted.cancel():
                # Until its thread is done with it, what the job works on has to stay.
                await asyncio.wait({future})
                future.exception()  # or asyncio complains that nobody looked

    async def close(self) -> None:
        """Cancel what waits, and let what runs end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        while self.taken:
            await asyncio.sleep(_GLANCE)
