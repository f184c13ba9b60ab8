"""A conversation: who speaks when, drawn from statistics of turn-taking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from egs2.mini_meeting.diar_prune1.local.simulation.corpus import FRAME, MAX_PAUSE, MIN_SPEECH
from egs2.mini_meeting.diar_prune1.local.simulation.turn_taking import TurnTaking
from egs2.mini_meeting.diar_prune1.local.simulation.voice import Clip, Voice

_FIRST = (20, 100)  # Frames before the first turn.
_TRIES = 20  # Draws of a length that fits.


class Spoken(NamedTuple):
    """A turn: its voice, the frame at which its speech begins, the speech."""

    voice: Voice
    start: int
    clip: Clip

    @property
    def end(self) -> int:
        """The frame after its last."""
        return self.start + self.clip.length

    @property
    def samples(self) -> slice:
        """Where the clip lies in the recording."""
        start = (self.start - self.clip.first) * FRAME
        return slice(start, start + len(self.clip.wave))


class Conversation:
    """Grows turn by turn; times are in frames of 10 ms.

    Args:
        rng: source of every choice.
        voices: who takes part; all get a turn.
        manner: how they take turns.
    """

    def __init__(self, rng: np.random.Generator, voices: Sequence[Voice], manner: TurnTaking):
        self.turns: list[Spoken] = []
        self._rng, self._voices, self._manner = rng, voices, manner
        self._busy_until = {voice.name: -MAX_PAUSE for voice in voices}
        self._owed: list[int] = []
        # Some people talk more than others.
        self._talkativeness = dict(
            zip(self._busy_until, rng.dirichlet(np.full(len(voices), 5.0)), strict=True)
        )

    def hold(self, frames: int) -> list[Spoken]:
        """Talk until so many frames have passed and everyone has spoken; turns are by start."""
        waiting = [self._voices[index] for index in self._rng.permutation(len(self._voices))]
        start = int(self._rng.integers(*_FIRST))
        left = (frames - start) // len(waiting)
        last = self._take_floor(waiting.pop(), start, min(self._frames("turn"), left))
        while True:
            # Who has not spoken yet is left time to do so.
            left = max((frames - last.end) // (1 + len(waiting)), 2 * MIN_SPEECH)
            same = self._rng.uniform() < self._manner.same_speaker
            gap = self._gap(last, same, left // 2)
            voice = last.voice if same else self._next_voice(last, waiting, last.end + gap)
            start = max(last.end + gap, self._free(voice))
            if start + MIN_SPEECH > frames and not waiting:
                return sorted(self.turns, key=lambda turn: (turn.start, turn.voice.name))
            waiting = [other for other in waiting if other is not voice]
            # A shorter one would be a back-channel.
            least = last.end - start + 1
            length = self._between("turn", least, max(left, least))
            turn = self._take_floor(voice, start, length)
            last = max(last, turn, key=lambda each: each.end)

    def _frames(self, name: str) -> int:
        return round(100 * self._manner.draw(name, self._rng))

    def _between(self, name: str, least: int, most: int) -> int:
        """Frames within bounds: drawn again where there are too few, cut where too many."""
        for _ in range(_TRIES):
            if (frames := self._frames(name)) >= least:
                break
        return min(max(frames, least), most)

    def _free(self, voice: Voice) -> int:
        """From when a voice can speak so that what it said before stays a turn of its own."""
        return self._busy_until[voice.name] + MAX_PAUSE + 1

    def _next_voice(self, last: Spoken, waiting: Sequence[Voice], start: int) -> Voice:
        """Another voice: if possible one that can speak from then on."""
        others = [voice for voice in waiting or self._voices if voice is not last.voice]
        others = [voice for voice in others if self._free(voice) <= start] or others
        weights = np.array([self._talkativeness[voice.name] for voice in others])
        return others[self._rng.choice(len(others), p=weights / weights.sum())]

    def _gap(self, last: Spoken, same: bool, longest: int) -> int:
        """Draw the silence before the next turn; negative is an overlap."""
        if same:
            return min(self._frames("pause_same"), longest)
        if self._rng.uniform() < self._manner.overlapped:
            self._owed.append(self._frames("overlap_change"))
        # Long overlaps wait for a turn that is longer.
        fitting = [overlap for overlap in self._owed if overlap < last.clip.length]
        if not fitting:
            return min(self._frames("pause_change"), longest)
        self._owed.remove(overlap := max(fitting))
        return -overlap

    def _take_floor(self, voice: Voice, start: int, length: int) -> Spoken:
        """Speak, while others may say a little; returns the turn."""
        turn = self._speak(voice, start, length)
        minutes = turn.clip.length / 6000
        number = self._rng.poisson(self._manner.back_channels_per_minute * minutes)
        lengths = [self._between("back_channel", 1, turn.clip.length - 1) for _ in range(number)]
        starts = [turn.start + int(self._rng.integers(turn.clip.length - n)) for n in lengths]
        for at, frames in sorted(zip(starts, lengths, strict=True)):
            free = [v for v in self._voices if v is not voice and self._free(v) <= at]
            if free:
                self._speak(free[self._rng.integers(len(free))], at, frames)
        return turn

    def _speak(self, voice: Voice, start: int, frames: int) -> Spoken:
        turn = Spoken(voice, start, voice.say(frames))
        self.turns.append(turn)
        self._busy_until[voice.name] = turn.end
        return turn
