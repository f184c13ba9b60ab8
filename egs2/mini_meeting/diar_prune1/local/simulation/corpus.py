"""Utterances of single speakers, and where in them somebody speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from espnet_prune.data.audio import SAMPLE_RATE, AudioStream, open_any_audio
from espnet_prune.data.tables import DataError
from espnet_prune.progress import progress

FRAME = SAMPLE_RATE // 100
"""Samples of a frame of 10 ms."""
MAX_PAUSE = 50
"""Frames of silence that do not end a turn: half a second."""
MIN_SPEECH = 25
"""Frames of the shortest stretch of speech that is used."""
_CLICK = 3  # Frames of sound that is shorter than any speech.


@dataclass(frozen=True)
class Corpus:
    """Utterances that sound alike: no recording holds two corpora.

    Attributes:
        name: its name, by which the speakers of different corpora are told apart.
        utterances: audio files of each speaker.
    """

    name: str
    utterances: Mapping[str, Sequence[str]]

    def usable(self, speakers: int) -> Corpus:
        """The utterances that are long enough to hold ``MIN_SPEECH``.

        Args:
            speakers: how many there have to be.

        Raises:
            DataError: with every file that is no audio; or for fewer speakers.
        """
        problems: list[str] = []
        kept: dict[str, list[str]] = {}
        pairs = [(name, path) for name, paths in self.utterances.items() for path in paths]
        for speaker, path in progress(pairs, f"read headers of {self.name}"):
            try:
                with open_any_audio(path) as audio:
                    if audio.frames * 100 >= MIN_SPEECH * audio.samplerate:
                        kept.setdefault(speaker, []).append(path)
            except DataError as error:
                problems += error.args
        if problems:
            raise DataError(*problems)
        if not kept:
            raise DataError(
                f"{self.name}: expected utterances of {MIN_SPEECH / 100} s or longer, found none "
                f"among {len(pairs)}; name another corpus"
            )
        if len(kept) < speakers:
            raise DataError(
                f"{self.name}: expected {speakers} speakers or more for one recording, found "
                f"{len(kept)}; name a corpus of more speakers, or ask for fewer with "
                "--num_speakers"
            )
        return Corpus(self.name, kept)


@dataclass(frozen=True)
class Utterance:
    """An utterance whose speech has a power of 1.

    Attributes:
        wave: ``(T,)``, whole frames.
        active: which frames hold speech, ``(L,)``.
        energy: power of each frame in dB, ``(L,)``.
        runs: stretches of speech, frames ``[first, stop)``, without a pause of more than
            ``MAX_PAUSE``.
    """

    wave: NDArray[np.float64]
    active: NDArray[np.bool_]
    energy: NDArray[np.float64]
    runs: list[tuple[int, int]]


def read_utterance(path: str, speed: float = 1.0) -> Utterance:
    """Read an utterance; its runs are empty if nobody speaks in it.

    Args:
        path: audio file.
        speed: how many times as fast and as high as it was spoken.

    Raises:
        DataError: for audio that cannot be read to its end.
    """
    with AudioStream(path) as stream:
        wave = stream.read(0, stream.num_samples)
    ratio = Fraction(speed).limit_denominator(100)
    wave = resample_poly(wave, ratio.denominator, ratio.numerator)
    wave = wave[: len(wave) // FRAME * FRAME].astype(np.float64)
    energy = 10 * np.log10(np.mean(wave.reshape(-1, FRAME) ** 2, axis=1) + 1e-12)
    active = speech_frames(energy)
    if active.any():
        wave /= np.sqrt(np.mean(wave.reshape(-1, FRAME)[active] ** 2))
    return Utterance(wave, active, energy, _runs(active))


def speech_frames(energy: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which frames hold speech, ``(L,)``.

    They are above a threshold that is relative to the utterance's own level, which is what the
    loudest twentieth of its frames exceeds: 10 dB above the quietest twentieth, but 20 to 35 dB
    below the level. Sounds of less than 30 ms are left out, and silence of -80 dBFS is none.

    Args:
        energy: power of each frame of 10 ms in dB, ``(L,)``.
    """
    if not len(energy):
        return np.zeros(0, dtype=bool)
    floor, level = np.quantile(energy, [0.05, 0.95])
    active = energy > max(np.clip(floor + 10, level - 35, level - 20), -80)
    for first, stop in stretches(active):
        if stop - first < _CLICK:
            active[first:stop] = False
    return active


def stretches(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The stretches ``[first, stop)`` of frames that are active."""
    edges = np.flatnonzero(np.diff(active.astype(np.int8), prepend=0, append=0))
    return [(int(first), int(stop)) for first, stop in edges.reshape(-1, 2)]


def _runs(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for first, stop in stretches(active):
        if runs and first - runs[-1][1] <= MAX_PAUSE:
            runs[-1] = (runs[-1][0], stop)
        else:
            runs.append((first, stop))
    return [(first, stop) for first, stop in runs if stop - first >= MIN_SPEECH]
