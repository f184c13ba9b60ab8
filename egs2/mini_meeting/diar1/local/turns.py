"""Who speaks when: turns, as the references give them, from the energy of dry utterances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

LONGEST_PAUSE = 0.5  # seconds of silence that do not end a turn
_FLOOR = 1e-4  # 40 dB below the loudest frame is silence


@dataclass(frozen=True)
class Utterance:
    """Something that a speaker says: a dry waveform `(T,)` and where it starts, in samples."""

    speaker: str
    start: int
    wave: np.ndarray

    @property
    def end(self) -> int:
        """The sample after the last one."""
        return self.start + len(self.wave)


@dataclass(frozen=True)
class Turn:
    """A stretch of a recording in which a speaker speaks; times in seconds."""

    speaker: str
    start: float
    end: float


def active_frames(wave: np.ndarray, frame: int) -> np.ndarray:
    """Returns which whole frames of `frame` samples hold speech, bool, `(L,)`."""
    energy = np.mean(wave[: len(wave) // frame * frame].reshape(-1, frame) ** 2, axis=1)
    active: np.ndarray = energy > _FLOOR * energy.max(initial=0.0)
    return active


def turns_of(utterances: Iterable[Utterance], sample_rate: int) -> list[Turn]:
    """Returns the turns of all speakers, by start, to the millisecond.

    Pauses of at most `LONGEST_PAUSE` do not end a turn.
    """
    frame = sample_rate // 100
    longest_gap = round(LONGEST_PAUSE * sample_rate)
    spans: dict[str, list[tuple[int, int]]] = {}
    for utterance in sorted(utterances, key=lambda item: item.start):
        own = spans.setdefault(utterance.speaker, [])
        for index in np.flatnonzero(active_frames(utterance.wave, frame)):
            start = utterance.start + int(index) * frame
            if own and start - own[-1][1] <= longest_gap:
                own[-1] = (own[-1][0], start + frame)
            else:
                own.append((start, start + frame))
    turns = [
        Turn(speaker, round(start / sample_rate, 3), round(end / sample_rate, 3))
        for speaker, own in spans.items()
        for start, end in own
    ]
    return sorted(turns, key=lambda turn: (turn.start, turn.speaker))
