"""How people take turns: overlaps, pauses and back-channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from sentences import back_channel, sentence
from turns import Utterance

Say = Callable[[str, str], np.ndarray]
"""Speaks a text: (speaker, text) to a dry waveform `(T,)`."""


class Conversation:
    """Grows a conversation turn by turn; all times are in samples."""

    def __init__(
        self, rng: np.random.Generator, speakers: Sequence[str], say: Say, sample_rate: int
    ) -> None:
        """Starts an empty conversation.

        Args:
            rng: source of every choice.
            speakers: who takes part.
            say: the voices of the speakers.
            sample_rate: of the waveforms, in Hz.
        """
        self.utterances: list[Utterance] = []
        self._rng = rng
        self._speakers = list(speakers)
        self._say = say
        self._rate = sample_rate
        # Some people talk more than others.
        self._talkativeness = rng.dirichlet(np.full(len(speakers), 5.0))
        self._busy_until = dict.fromkeys(speakers, 0)

    def hold(self, duration: float) -> list[Utterance]:
        """Talks until everyone has had the floor and `duration` seconds have passed."""
        waiting = [self._speakers[i] for i in self._rng.permutation(len(self._speakers))]
        speaker = waiting[0]
        floor_end = self._samples(self._rng.uniform(0.2, 0.8))
        while waiting or floor_end < duration * self._rate:
            speaker = waiting.pop(0) if waiting else self._next_speaker(speaker)
            start = max(floor_end + self._gap(), self._busy_until[speaker] + self._rate // 5)
            floor_end = max(floor_end, self._take_turn(speaker, start))
        return self.utterances

    def _samples(self, seconds: float) -> int:
        return round(seconds * self._rate)

    def _gap(self) -> int:
        """Draws the silence before the next turn; negative if it starts early."""
        kind = self._rng.random()
        if kind < 0.4:
            return -self._samples(self._rng.uniform(0.2, 1.4)) if self.utterances else 0
        if kind < 0.54:
            return self._samples(self._rng.uniform(0.8, 2.5))
        return self._samples(min(0.05 + self._rng.exponential(0.3), 1.0))

    def _next_speaker(self, last: str) -> str:
        weights = self._talkativeness.copy()
        weights[self._speakers.index(last)] *= 0.2
        return self._speakers[self._rng.choice(len(weights), p=weights / weights.sum())]

    def _take_turn(self, speaker: str, start: int) -> int:
        """Adds one to four sentences and perhaps back-channels of a listener; returns the end."""
        position = start
        for _ in range(min(int(self._rng.geometric(0.5)), 4)):
            position = self._utter(speaker, position, sentence(self._rng))
            position += self._samples(self._rng.uniform(0.1, 0.7))
        end = self._busy_until[speaker]
        listeners = [name for name in self._speakers if name != speaker]
        for moment in range(start + self._rate, end - self._rate // 2, 4 * self._rate):
            listener = listeners[self._rng.integers(len(listeners))]
            moment += self._samples(self._rng.uniform(0.0, 1.5))
            if self._rng.random() < 0.5 and moment > self._busy_until[listener]:
                self._utter(listener, moment, back_channel(self._rng))
        return end

    def _utter(self, speaker: str, start: int, text: str) -> int:
        utterance = Utterance(speaker, start, self._say(speaker, text))
        self.utterances.append(utterance)
        self._busy_until[speaker] = utterance.end
        return utterance.end
