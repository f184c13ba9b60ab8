"""Speech synthesis: turns a sentence and a voice into a dry waveform, through espeak-ng."""

from __future__ import annotations

import ctypes
from fractions import Fraction

import espeakng_loader
import numpy as np
from scipy.signal import lfilter, resample_poly
from turns import active_frames
from voices import Voice

SAMPLE_RATE = 16000
FRAME = SAMPLE_RATE // 100
LEVEL = 0.05  # root mean square of an utterance

# From espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_POS_CHARACTER = 1
_CHARS_UTF8 = 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4

_SynthCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Synthesizer:
    """espeak-ng as a function of a voice and a text.

    espeak-ng keeps state from one utterance to the next (phase of the flutter, random numbers), so
    its output depends on all that the process has said before: use a new process wherever the
    result has to be reproducible.
    """

    def __init__(self, seed: int) -> None:
        """Starts espeak-ng.

        Args:
            seed: seed of the breath noise.

        Raises:
            RuntimeError: if espeak-ng finds no data.
        """
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data_path = espeakng_loader.get_data_path()
        self._native_rate = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path.encode(), 0
        )
        if self._native_rate <= 0:
            raise RuntimeError(
                f"espeak-ng does not start with the data in {data_path}: reinstall espeakng-loader"
            )
        self._chunks: list[np.ndarray] = []
        # ctypes does not keep the callback alive, so the object has to.
        self._callback = _SynthCallback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self._library.espeak_SetParameter(_VOLUME, 60, 0)  # the loudest variants clip at 100

    def _receive(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, voice: Voice, text: str) -> np.ndarray:
        """Returns an utterance at 16 kHz of a set level, without silence at its ends, `(T,)`.

        Raises:
            RuntimeError: if espeak-ng does not know the voice or stays silent.
        """
        name = f"{voice.accent}+{voice.variant}"
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {name}: reinstall espeakng-loader")
        # The warp also changes the tempo, which the rate takes back.
        self._library.espeak_SetParameter(_RATE, round(voice.rate / voice.warp), 0)
        self._library.espeak_SetParameter(_PITCH, voice.pitch, 0)
        self._library.espeak_SetParameter(_RANGE, voice.pitch_range, 0)
        self._chunks.clear()
        encoded = text.encode()
        self._library.espeak_Synth(
            encoded, len(encoded) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None
        )
        self._library.espeak_Synchronize()
        if not self._chunks:
            raise RuntimeError(f"espeak-ng voice {name} stays silent on {text!r}")
        return self._finish(np.concatenate(self._chunks) / 32768, voice)

    def _finish(self, wave: np.ndarray, voice: Voice) -> np.ndarray:
        ratio = Fraction(SAMPLE_RATE) / (self._native_rate * Fraction(str(voice.warp)))
        wave = resample_poly(wave, ratio.numerator, ratio.denominator)
        wave = lfilter([1.0, -voice.tilt], [1.0], wave)
        active = np.flatnonzero(active_frames(wave, FRAME))
        wave = wave[active[0] * FRAME : (active[-1] + 1) * FRAME]
        wave *= LEVEL / np.sqrt(np.mean(wave**2))
        return wave
