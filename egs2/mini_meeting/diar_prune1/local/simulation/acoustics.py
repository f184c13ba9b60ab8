"""Where a recording is made: in no room, in a simulated one or in a measured one; its noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfftfreq
from scipy.signal import oaconvolve

from egs2.mini_meeting.diar_prune1.local.simulation.conversation import Spoken
from espnet_prune.data.audio import SAMPLE_RATE
from espnet_prune.data.tables import DataError

Wave = NDArray[np.float64]
Room = Callable[[np.random.Generator, int], list[Wave]]
"""Makes the impulse responses ``(T,)`` of so many seats, see ``open_room``."""

SHOEBOX = "shoebox"
_WALL = 0.4  # Metres between a talker and the nearest wall.
_PEAK = (-12.0, -1.0)  # dBFS of the loudest sample of a recording.


def open_room(name: str) -> Room:
    """Where conversations are held; sound arrives without delay and as loud as it left.

    Args:
        name: ``shoebox`` for another simulated room of each recording, by pyroomacoustics; or a
            SOFA file of impulse responses of 16 kHz, of which every speaker gets one direction
            and every recording one receiver.

    Raises:
        DataError: there is no such file, it is no SOFA file, or one of another rate.
    """
    if name != SHOEBOX:
        return partial(_measured, _read_sofa(Path(name)))
    try:
        import pyroomacoustics
    except ImportError as error:
        raise DataError(
            f"rooms {SHOEBOX}: expected pyroomacoustics, found none; pip install pyroomacoustics"
        ) from error
    # Sums of images in several threads would depend on the number of cores.
    pyroomacoustics.constants.set("num_threads", 1)
    return _shoebox


def _read_sofa(path: Path) -> Wave:
    """Read impulse responses, ``(directions, receivers, T)``."""
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            f"{path}: expected h5py to read it, found none; pip install h5py"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            rate = float(file["Data.SamplingRate"][:].flat[0])
            responses = np.asarray(file["Data.IR"], dtype=np.float64)
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise DataError(
            f"{path}: expected a SOFA file (Data.IR and Data.SamplingRate), found none; name one, "
            f"or {SHOEBOX}"
        ) from error
    if rate != SAMPLE_RATE:
        raise DataError(
            f"{path}: expected impulse responses of {SAMPLE_RATE} Hz, found {rate:g} Hz; resample "
            "them or name another file"
        )
    if responses.ndim != 3 or not responses.any(axis=2).all() or not np.isfinite(responses).all():
        raise DataError(
            f"{path}: expected finite impulse responses of shape (directions, receivers, samples), "
            f"found others, of shape {responses.shape}; name another file"
        )
    return responses


def _measured(responses: Wave, rng: np.random.Generator, seats: int) -> list[Wave]:
    directions, receivers, _ = responses.shape
    if seats > directions:
        raise DataError(
            f"expected a SOFA file of {seats} directions or more, one for each speaker, found "
            f"{directions}; name another one"
        )
    ear = rng.integers(receivers)
    return [_direct(responses[i, ear]) for i in rng.choice(directions, seats, replace=False)]


def _shoebox(rng: np.random.Generator, seats: int) -> list[Wave]:
    """A random room of 0.2 to 0.5 s of reverberation, seats 0.7 to 2.2 m around the microphone."""
    import pyroomacoustics

    size = rng.uniform([4.5, 4.0, 2.5], [9.0, 7.0, 3.5])
    absorption, order = pyroomacoustics.inverse_sabine(rng.uniform(0.2, 0.5), size)
    # Later images are more than 40 dB down and would cost most of the time.
    room = pyroomacoustics.ShoeBox(
        size,
        fs=SAMPLE_RATE,
        materials=pyroomacoustics.Material(absorption),
        max_order=2 * order // 3,
    )
    table = np.array([*(size[:2] * rng.uniform(0.4, 0.6, 2)), 0.8])
    room.add_microphone(table)
    first = rng.uniform(0, 2 * np.pi)
    for seat in range(seats):
        angle = first + 2 * np.pi * (seat + rng.uniform(-0.25, 0.25)) / seats
        distance = rng.uniform(0.7, 2.2)
        offset = [distance * np.cos(angle), distance * np.sin(angle), rng.uniform(0.3, 0.5)]
        room.add_source(np.clip(table + offset, _WALL, size - _WALL))
    room.compute_rir()
    return [_direct(response) for response in room.rir[0]]


def _direct(response: Wave) -> Wave:
    """A response of energy 1 from the direct path on, so that turns stay where they are."""
    response = response[np.argmax(np.abs(response)) :]
    return response / np.sqrt(np.sum(response**2))


def record(
    rng: np.random.Generator,
    turns: Sequence[Spoken],
    length: int,
    gain_db: float,
    room: Room | None = None,
    snr_db: tuple[float, float] | None = None,
) -> Wave:
    """Mix what is said, ``(T,)``, with its loudest sample at -12 to -1 dBFS.

    Args:
        rng: source of every choice.
        turns: what is said.
        length: samples of the recording.
        gain_db: every turn is louder or softer by up to so many dB.
        room: where it is said; None leaves it as it is.
        snr_db: range in dB of the power of speech, where somebody speaks, over that of noise;
            None adds none.
    """
    tracks: dict[str, Wave] = {}
    speech = np.zeros(length, dtype=bool)
    for turn in turns:
        track = tracks.setdefault(turn.voice.name, np.zeros(length))
        track[turn.samples] += 10 ** (rng.uniform(-gain_db, gain_db) / 20) * turn.clip.wave
        speech[turn.samples] = True
    mixture = sum(_in_room(rng, tracks, room).values(), np.zeros(length))
    if snr_db is not None:
        power = np.mean(mixture[speech] ** 2) / 10 ** (rng.uniform(*snr_db) / 10)
        mixture += np.sqrt(power) * _noise(rng, length)
    peak: float = 10 ** (rng.uniform(*_PEAK) / 20)
    return mixture * (peak / np.abs(mixture).max())


def _in_room(
    rng: np.random.Generator, tracks: Mapping[str, Wave], room: Room | None
) -> Mapping[str, Wave]:
    if room is None:
        return tracks
    seats = zip(tracks.items(), room(rng, len(tracks)), strict=True)
    return {name: oaconvolve(dry, response)[: len(dry)] for (name, dry), response in seats}


def _noise(rng: np.random.Generator, length: int) -> Wave:
    """Steady noise of power 1, its spectrum falling by a random slope, with hum of the mains."""
    padded = next_fast_len(length, real=True)
    frequency = rfftfreq(padded, 1 / SAMPLE_RATE)
    spectrum = rng.standard_normal(len(frequency)) + 1j * rng.standard_normal(len(frequency))
    slope = rng.uniform(0.5, 2.0)
    noise = irfft(spectrum / np.maximum(frequency, 50.0) ** (slope / 2), padded)[:length]
    noise /= np.sqrt(np.mean(noise**2))
    time = 2 * np.pi * rng.choice([50.0, 60.0]) * np.arange(length) / SAMPLE_RATE
    for harmonic in (2, 3, 4):
        noise += rng.uniform(0, 0.2) * np.sin(harmonic * time + rng.uniform(0, 2 * np.pi))
    return noise / np.sqrt(np.mean(noise**2))
