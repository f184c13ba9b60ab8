"""A speaker who says as much as is asked for, out of read utterances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from egs2.mini_meeting.diar_prune1.local.simulation.corpus import (
    FRAME,
    MIN_SPEECH,
    Utterance,
    read_utterance,
)
from espnet_prune.data.tables import DataError

_MARGIN = 10  # Frames of the silence around speech that are kept, so that it is not cut hard.
_FADE = FRAME // 2  # Samples of the shortest fade.
_JOINT = (15, 45)  # Frames of the pause between what two utterances give to a turn.


class Clip(NamedTuple):
    """Speech with a little silence around: a wave ``(T,)``, and its frames ``[first, stop)``."""

    wave: NDArray[np.float64]
    first: int
    stop: int

    @property
    def length(self) -> int:
        """Frames of speech."""
        return self.stop - self.first


class Voice:
    """A speaker.

    Utterances are read in a random order, one where the last turn stopped, and all of them again
    when they are used up. Pauses of more than half a second in them are left out.

    Args:
        name: of the speaker.
        paths: audio files of the utterances.
        rng: source of every choice.
        speed: how many times as fast and as high as in the files, which makes it another voice.
    """

    def __init__(
        self, name: str, paths: Sequence[str], rng: np.random.Generator, speed: float = 1.0
    ):
        self.name, self._paths, self._rng, self._speed = name, paths, rng, speed
        self._waiting: list[str] = []
        self._utterance: Utterance | None = None
        self._runs: list[tuple[int, int]] = []

    def say(self, frames: int) -> Clip:
        """Speak for about so many frames, at a power of 1.

        A turn that ends within an utterance ends at the quietest frame near to its length.

        Raises:
            DataError: there is no speech in any of the utterances.
        """
        clip = self._piece(frames)
        while frames - clip.length >= 2 * MIN_SPEECH:
            pause = int(self._rng.integers(*_JOINT, endpoint=True))
            clip = _joined(clip, self._piece(frames - clip.length - pause), pause)
        return clip

    def _piece(self, frames: int) -> Clip:
        utterance, (first, stop) = self._next_run()
        frames = max(frames, MIN_SPEECH)
        if stop - first >= 5 * frames // 4 + MIN_SPEECH:
            spoken = np.flatnonzero(utterance.active[first:stop]) + first
            near = spoken[spoken >= first + 3 * frames // 4][: frames // 2]
            end = int(near[utterance.energy[near].argmin()]) + 1
            rest = spoken[spoken >= end]
            if len(rest) and stop - rest[0] >= MIN_SPEECH:
                self._runs.insert(0, (int(rest[0]), stop))
            stop = end
        return _clip(utterance, first, stop)

    def _next_run(self) -> tuple[Utterance, tuple[int, int]]:
        fruitless = 0
        while not self._runs:
            if fruitless > len(self._paths):
                raise DataError(
                    f"{self.name}: expected speech of {MIN_SPEECH / 100} s or more in a row, found "
                    f"none in {len(self._paths)} utterance(s), the first {self._paths[0]}; remove "
                    "the speaker"
                )
            if not self._waiting:
                order = self._rng.permutation(len(self._paths))
                self._waiting = [self._paths[index] for index in order]
            self._utterance = read_utterance(self._waiting.pop(), self._speed)
            self._runs = list(self._utterance.runs)
            fruitless += 1
        assert self._utterance is not None
        return self._utterance, self._runs.pop(0)


def _clip(utterance: Utterance, first: int, stop: int) -> Clip:
    """Cut out frames of speech, with fades within the silence around them."""
    before = utterance.active[max(0, first - _MARGIN) : first][::-1]
    after = utterance.active[stop : stop + _MARGIN]
    lead = int(np.argmax(before)) if before.any() else len(before)
    tail = int(np.argmax(after)) if after.any() else len(after)
    wave = utterance.wave[(first - lead) * FRAME : (stop + tail) * FRAME].copy()
    rise, fall = max(lead * FRAME, _FADE), max(tail * FRAME, _FADE)
    wave[:rise] *= np.linspace(0, 1, rise, endpoint=False)
    wave[-fall:] *= np.linspace(1, 0, fall, endpoint=False)
    return Clip(wave, lead, lead + stop - first)


def _joined(clip: Clip, other: Clip, pause: int) -> Clip:
    """One clip of two, with so many frames between them."""
    at = (clip.stop + pause - other.first) * FRAME
    wave = np.zeros(max(len(clip.wave), at + len(other.wave)))
    wave[: len(clip.wave)] += clip.wave
    wave[at : at + len(other.wave)] += other.wave
    return Clip(wave, clip.first, clip.stop + pause + other.length)
