"""Renders recordings in parallel; a finished one is kept when the same command runs again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm
from turns import Turn

_PROGRAM = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))


@dataclass(frozen=True)
class Job:
    """All that a recording depends on.

    Attributes:
        recording: identifier.
        speakers: names of the voices.
        duration: aimed at, in seconds.
        seed: seed of the recording alone.
    """

    recording: str
    speakers: tuple[str, ...]
    duration: float
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Recording:
    """A finished recording: identifier, path of the audio, seconds and turns."""

    recording: str
    path: Path
    duration: float
    turns: tuple[Turn, ...]


Render = Callable[[Job], tuple[np.ndarray, list[Turn]]]
"""Makes the waveform `(T,)` and the turns of a recording."""


def render_all(
    jobs: Sequence[Job], render: Render, folder: Path, sample_rate: int, nj: int
) -> list[Recording]:
    """Writes `folder/<recording>.flac` for each job and returns the recordings in order.

    Each recording is rendered in a process of its own, because espeak-ng remembers what it has
    said; therefore the result does not depend on `nj`.

    Args:
        jobs: the recordings to make.
        render: makes one of them.
        folder: where the audio goes, created if need be.
        sample_rate: in Hz.
        nj: number of processes at a time, at least 1.

    Raises:
        RuntimeError: if a recording could not be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting = [job for job in jobs if not _is_finished(job, folder)]
    # Forking spares each process the start of Python and its imports.
    context = get_context("fork")
    running: dict[Any, tuple[Job, BaseProcess]] = {}
    with tqdm(total=len(waiting), desc=folder.name, disable=None) as progress:
        while waiting or running:
            while waiting and len(running) < nj:
                job = waiting.pop(0)
                process: BaseProcess = context.Process(
                    target=_render_one, args=(job, render, folder, sample_rate), daemon=True
                )
                process.start()
                running[process.sentinel] = (job, process)
            for sentinel in wait(list(running)):
                job, process = running.pop(sentinel)
                process.join()
                if process.exitcode != 0:
                    raise RuntimeError(
                        f"expected {job.recording} in {folder}, found that its process ended with "
                        f"status {process.exitcode}: see its message above and run again"
                    )
                progress.update()
    return [_read(job, folder) for job in jobs]


def _paths(job: Job, folder: Path) -> tuple[Path, Path]:
    """Returns where the audio and the record of how it was made are kept."""
    return folder / f"{job.recording}.flac", folder / f"{job.recording}.json"


def _is_finished(job: Job, folder: Path) -> bool:
    """Tells whether the files of a job are there, whole, and made by this very job."""
    audio, record = _paths(job, folder)
    if not (audio.exists() and record.exists()):
        return False
    known = json.loads(record.read_text())
    expected = (_origin(job), _digest(audio.read_bytes()))
    return (known["origin"], known["audio"]) == expected


def _read(job: Job, folder: Path) -> Recording:
    audio, record = _paths(job, folder)
    known = json.loads(record.read_text())
    turns = tuple(Turn(**turn) for turn in known["turns"])
    return Recording(job.recording, audio, known["duration"], turns)


def _render_one(job: Job, render: Render, folder: Path, sample_rate: int) -> None:
    wave, turns = render(job)
    audio, record = _paths(job, folder)
    partial_audio = audio.with_suffix(".flac.tmp")
    soundfile.write(partial_audio, wave, sample_rate, subtype="PCM_16", format="FLAC")
    content = {
        "origin": _origin(job),
        "audio": _digest(partial_audio.read_bytes()),
        "duration": len(wave) / sample_rate,
        "turns": [asdict(turn) for turn in turns],
    }
    os.replace(partial_audio, audio)
    partial_record = record.with_suffix(".json.tmp")
    partial_record.write_text(json.dumps(content, indent=1))
    os.replace(partial_record, record)


def _origin(job: Job) -> str:
    """Returns a digest of the job and of the program that renders it."""
    return _digest(json.dumps(asdict(job)).encode() + _PROGRAM)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
