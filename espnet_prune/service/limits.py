"""What a service takes on."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """The most that a service takes on; what is beyond is refused at once.

    Attributes:
        workers: recordings that are diarized at a time; they share the cores.
        waiting: further requests that wait, those whose upload is still arriving among them.
        megabytes: of an upload, 10^6 bytes each.
        minutes: of a recording.
        patience: seconds without a byte of an upload.
    """

    workers: int = 1
    waiting: int = 8
    megabytes: float = 500.0
    minutes: float = 120.0
    patience: float = 30.0
