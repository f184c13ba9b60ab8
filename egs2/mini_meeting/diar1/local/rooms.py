"""Where a recording is made: a reverberant room with one distant microphone, and its noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyroomacoustics as pra
from scipy.fft import irfft, next_fast_len, rfftfreq
from scipy.signal import oaconvolve
from turns import Utterance

# Sums of images in several threads would depend on the number of cores.
pra.constants.set("num_threads", 1)

_MARGIN = 0.4  # metres between a talker and the nearest wall


def impulse_responses(
    rng: np.random.Generator, num_talkers: int, sample_rate: int
) -> list[np.ndarray]:
    """Returns the responses from each seat of a random room to its microphone, each `(T,)`.

    Image-source method, reverberation time of about 0.2 to 0.5 s, seats 0.7 to 2.2 m around the
    microphone. The delay of the direct path is removed, so that references hold there too.
    """
    size = rng.uniform([4.5, 4.0, 2.5], [9.0, 7.0, 3.5])
    absorption, max_order = pra.inverse_sabine(rng.uniform(0.2, 0.5), size)
    # Later images are more than 40 dB down, below the noise, and would cost most of the time.
    room = pra.ShoeBox(
        size, fs=sample_rate, materials=pra.Material(absorption), max_order=2 * max_order // 3
    )
    table = np.array([*(size[:2] * rng.uniform(0.4, 0.6, 2)), 0.8])
    room.add_microphone(table)
    first = rng.uniform(0, 2 * np.pi)
    for seat in range(num_talkers):
        angle = first + 2 * np.pi * (seat + rng.uniform(-0.25, 0.25)) / num_talkers
        distance = rng.uniform(0.7, 2.2)
        offset = [distance * np.cos(angle), distance * np.sin(angle), rng.uniform(0.3, 0.5)]
        room.add_source(np.clip(table + offset, _MARGIN, size - _MARGIN))
    room.compute_rir()
    return [response[np.argmax(np.abs(response)) :] for response in room.rir[0]]


def background_noise(rng: np.random.Generator, length: int, sample_rate: int) -> np.ndarray:
    """Returns stationary noise of unit power with a random spectral slope and mains hum, `(T,)`."""
    padded = next_fast_len(length, real=True)
    frequency = rfftfreq(padded, 1 / sample_rate)
    slope = rng.uniform(0.5, 2.0)
    spectrum = rng.standard_normal(len(frequency)) + 1j * rng.standard_normal(len(frequency))
    noise: np.ndarray = irfft(spectrum / np.maximum(frequency, 50.0) ** (slope / 2), padded)[
        :length
    ]
    noise /= np.sqrt(np.mean(noise**2))
    time = np.arange(length) / sample_rate
    mains = rng.choice([50.0, 60.0])
    for harmonic in (2, 3, 4):
        phase = rng.uniform(0, 2 * np.pi)
        noise += rng.uniform(0.0, 0.2) * np.sin(2 * np.pi * harmonic * mains * time + phase)
    noise /= np.sqrt(np.mean(noise**2))
    return noise


def record(
    rng: np.random.Generator,
    utterances: list[Utterance],
    responses: Mapping[str, np.ndarray],
    length: int,
    sample_rate: int,
) -> np.ndarray:
    """Returns what the microphone hears of utterances and noise, `(T,)`, of at most -1 dBFS.

    Args:
        rng: source of levels and noise.
        utterances: what is said.
        responses: impulse response of each speaker's seat.
        length: samples of the recording.
        sample_rate: in Hz.
    """
    mixture = np.zeros(length)
    active = np.zeros(length, dtype=bool)
    for speaker, response in responses.items():
        track = np.zeros(length)
        for utterance in utterances:
            if utterance.speaker == speaker:
                track[utterance.start : utterance.end] += utterance.wave
                active[utterance.start : utterance.end] = True
        gain = 10 ** (rng.uniform(-3.0, 3.0) / 20)
        mixture += gain * oaconvolve(track, response)[:length]
    snr = 10 ** (rng.uniform(15.0, 30.0) / 10)
    noise_power = np.mean(mixture[active] ** 2) / snr
    mixture += np.sqrt(noise_power) * background_noise(rng, length, sample_rate)
    peak = 10 ** (rng.uniform(-12.0, -1.0) / 20)
    mixture *= peak / np.abs(mixture).max()
    return mixture
