"""Scored regions of recordings, and their NIST UEM files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet_prune.data.tables import (
    check_interval,
    expect_fields,
    parse_seconds,
    read_recordings,
    write_lines,
)


@dataclass(frozen=True)
class Region:
    """A stretch of a recording that is trained on and scored: 0 <= start < end, in seconds."""

    recording: str
    start: float
    end: float

    def __post_init__(self) -> None:
        check_interval(self.start, self.end)


def parse_region(fields: list[str]) -> Region:
    """Make a region of the fields of a UEM line."""
    expect_fields(fields, "<recording> 1 <start> <end>")
    return Region(fields[0], parse_seconds(fields[2], "start"), parse_seconds(fields[3], "end"))


def read_uem(path: str | Path) -> dict[str, list[Region]]:
    """Read the regions of every recording of a UEM file, in its order, or of a folder of them."""
    return read_recordings(path, ".uem", parse_region)


def write_uem(path: str | Path, regions: Mapping[str, Iterable[Region]]) -> None:
    """Write a UEM file atomically, sorted by recording and start, to 0.1 ms."""
    write_lines(path, uem_lines(regions))


def uem_lines(regions: Mapping[str, Iterable[Region]]) -> list[str]:
    """The lines of a UEM file; see :func:`write_uem`."""
    everything = [region for recording in regions.values() for region in recording]
    everything.sort(key=lambda region: (region.recording, region.start))
    return [f"{r.recording} 1 {r.start:.4f} {r.end:.4f}" for r in everything]
