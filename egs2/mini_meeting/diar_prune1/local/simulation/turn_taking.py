"""How people take turns: statistics of real conversations, and of simulated ones beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pyannote.core import Annotation, Segment

from espnet_prune.data.rttm import Turn, to_annotation
from espnet_prune.data.tables import DataError
from espnet_prune.data.uem import Region
from espnet_prune.encoder.typed import ConfigError, read_typed, settle_types
from espnet_prune.storage.config_files import read_yaml

_QUANTILES = np.linspace(0, 1, 21)

DISTRIBUTIONS = {
    "turn": "turn",
    "back_channel": "back-channel",
    "pause_same": "pause, same speaker",
    "pause_change": "pause, change of speaker",
    "overlap_change": "overlap at a change",
}
"""The fields of ``TurnTaking`` that hold quantiles, and what people call them."""
SHARES = {
    "silence": "silence",
    "overlap": "overlap (of speech)",
    "same_speaker": "turns of the same speaker again",
    "overlapped": "changes that overlap",
}
"""The fields of ``TurnTaking`` that hold shares."""


@dataclass(frozen=True)
class TurnTaking:
    """Statistics of turn-taking.

    The turns of a recording in the order of their starts are of two kinds. One that ends after
    all before it has the floor until the next such turn; the others are back-channels.

    Attributes:
        recordings: number of recordings.
        speakers: mean number of speakers of a recording.
        silence: share of the time, from the first turn's start to the last one's end, in which
            nobody speaks.
        overlap: share of the speech in which two or more speak.
        turns_per_minute: turns of both kinds per minute of that time.
        back_channels_per_minute: back-channels per minute of the turns that have the floor.
        same_speaker: share of turns with the floor that follow one of the same speaker.
        overlapped: share of the others that begin before the end of the turn before.
        turn: quantiles, evenly spaced from the least to the greatest, of the seconds of a turn
            that has the floor; empty, as the next ones, where there was none.
        back_channel: those of the seconds of a back-channel.
        pause_same: those of the seconds of silence before a turn of the same speaker.
        pause_change: those of the seconds of silence before a turn of another speaker.
        overlap_change: those of the seconds by which a turn overlaps with that of another speaker
            before it.

    Raises:
        ConfigError: for shares beyond 0 to 1, negative or descending quantiles, and quantiles
            that are missing where a share says that there are such turns.
    """

    recordings: int
    speakers: float
    silence: float
    overlap: float
    turns_per_minute: float
    back_channels_per_minute: float
    same_speaker: float
    overlapped: float
    turn: tuple[float, ...]
    back_channel: tuple[float, ...] = ()
    pause_same: tuple[float, ...] = ()
    pause_change: tuple[float, ...] = ()
    overlap_change: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        settle_types(self)
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}: expected 0 to 1, found {getattr(self, name):g}")
        changes = self.same_speaker < 1
        needed = {
            "turn": True,
            "back_channel": self.back_channels_per_minute > 0,
            "pause_same": self.same_speaker > 0,
            "pause_change": changes and self.overlapped < 1,
            "overlap_change": changes and self.overlapped > 0,
        }
        for name in DISTRIBUTIONS:
            values = getattr(self, name)
            if any(b < a for a, b in pairwise((0, *values))):
                raise ConfigError(f"{name}: expected ascending quantiles from 0, found others")
            if needed[name] and not values:
                raise ConfigError(f"{name}: expected quantiles in seconds, found none")

    def draw(self, name: str, rng: np.random.Generator) -> float:
        """Seconds of one of ``DISTRIBUTIONS``."""
        return self.quantile(name, rng.uniform())

    def quantile(self, name: str, share: float) -> float:
        """The seconds of one of ``DISTRIBUTIONS`` that a share of what was seen does not exceed."""
        values = getattr(self, name)
        return float(np.interp(share, np.linspace(0, 1, len(values)), values))


class _Floor(NamedTuple):
    """Who has spoken longest so far, from when and until when (seconds)."""

    speaker: str
    end: float


@dataclass
class _Seen:
    """What conversations hold; seconds."""

    speakers: list[int] = field(default_factory=list)
    seconds: float = 0.0
    speech: float = 0.0
    overlap: float = 0.0
    values: dict[str, list[float]] = field(
        default_factory=lambda: {name: [] for name in DISTRIBUTIONS}
    )

    def add(self, annotation: Annotation) -> None:
        """Count one conversation, of which every speaker's turns are apart."""
        timeline = annotation.get_timeline()
        self.speakers.append(len(annotation.labels()))
        self.seconds += timeline.extent().duration
        self.speech += timeline.support().duration()
        self.overlap += annotation.get_overlap().duration()
        floor: _Floor | None = None
        for turn, _, speaker in annotation.itertracks(yield_label=True):
            if floor is not None and turn.end <= floor.end:
                self.values["back_channel"].append(turn.duration)
                continue
            self.values["turn"].append(turn.duration)
            if floor is not None:
                pause = turn.start - floor.end
                name = "pause_same" if speaker == floor.speaker else "pause_change"
                if pause < 0:
                    name = "overlap_change"
                self.values[name].append(abs(pause))
            floor = _Floor(speaker, turn.end)


def measure_turn_taking(
    turns: Mapping[str, Sequence[Turn]], regions: Mapping[str, Sequence[Region]]
) -> TurnTaking:
    """Measure how people take turns.

    Turns are cut at the ends of their region, and so is what is measured of them.

    Args:
        turns: turns of each recording.
        regions: what to look at; each region is a conversation.

    Raises:
        DataError: there are no turns in the regions.
    """
    seen = _Seen()
    for recording, own in regions.items():
        annotation = to_annotation(turns.get(recording, ()), recording).support()
        for region in own:
            part = annotation.crop(Segment(region.start, region.end)).rename_tracks("int")
            if part:
                seen.add(part)
    if not seen.speakers:
        raise DataError("expected turns in the regions, found none; name the matching files")
    values = seen.values
    floors = [len(values[name]) for name in ("pause_same", "pause_change", "overlap_change")]
    same, paused, overlapped = floors
    minutes = sum(values["turn"]) / 60
    number = len(values["turn"]) + len(values["back_channel"])
    return TurnTaking(
        recordings=len(seen.speakers),
        speakers=round(float(np.mean(seen.speakers)), 2),
        silence=round(1 - seen.speech / seen.seconds, 4),
        overlap=round(seen.overlap / seen.speech, 4),
        turns_per_minute=round(60 * number / seen.seconds, 2),
        back_channels_per_minute=round(len(values["back_channel"]) / minutes, 2),
        same_speaker=round(same / max(1, sum(floors)), 4),
        overlapped=round(overlapped / max(1, paused + overlapped), 4),
        **{name: _quantiles(values[name]) for name in DISTRIBUTIONS},
    )


def _quantiles(values: Sequence[float]) -> tuple[float, ...]:
    if not values:
        return ()
    return tuple(round(float(each), 3) for each in np.quantile(values, _QUANTILES))


def read_turn_taking(path: str | Path) -> TurnTaking:
    """Read the YAML file that ``measure`` (the command) writes.

    Raises:
        ConfigError: it does not hold what ``TurnTaking`` says.
    """
    return read_typed(TurnTaking, read_yaml(path), path)


def turn_taking_table(columns: Mapping[str, TurnTaking]) -> list[str]:
    """The lines of a Markdown table of statistics side by side, by their names."""
    rows = {
        "recordings": lambda each: f"{each.recordings}",
        "speakers per recording": lambda each: f"{each.speakers:.1f}",
        "turns per minute": lambda each: f"{each.turns_per_minute:.1f}",
        "back-channels per minute of turns": lambda each: f"{each.back_channels_per_minute:.1f}",
        **{f"{title} (%)": _share(name) for name, title in SHARES.items()},
        **{f"{title} (s)": _typical(name) for name, title in DISTRIBUTIONS.items()},
    }
    lines = ["| median [10 % .. 90 %] of seconds | " + " | ".join(columns) + " |"]
    lines.append("|---" + "|---:" * len(columns) + "|")
    for title, value in rows.items():
        lines.append(f"| {title} | " + " | ".join(map(value, columns.values())) + " |")
    return lines


def _share(name: str) -> Callable[[TurnTaking], str]:
    return lambda each: f"{100 * getattr(each, name):.1f}"


def _typical(name: str) -> Callable[[TurnTaking], str]:
    def text(each: TurnTaking) -> str:
        if not getattr(each, name):
            return "none"
        middle, low, high = (each.quantile(name, share) for share in (0.5, 0.1, 0.9))
        return f"{middle:.2f} [{low:.2f} .. {high:.2f}]"

    return text
