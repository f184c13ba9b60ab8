"""Compare whole diarization pipelines, which take turns, on an idle and on a busy machine."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.children import ending_with_us
from benchmarks.pipeline_worker import Sample, Worker
from benchmarks.pipelines import HINT, PIPELINES, Subject
from benchmarks.results import Setting
from benchmarks.stages import STAGES
from benchmarks.table import describe
from benchmarks.timing import load_average
from espnet_prune.report.table import Table

logger = logging.getLogger(__name__)

ALONE, LOADED = "alone", "loaded"
_EXPLANATION = """\
Each pipeline ran in a process of its own, which had loaded its models and diarized the recording
once; they took turns in rounds. Seconds: least and median of the rounds, CPU seconds those of all
threads. Real-time factor: the median of seconds over those of the recording. Hours per hour and
core: hours of audio that one core diarizes in an hour, the recording's seconds over the median of
CPU seconds. Peak: resident memory of the whole process since its start. Load: the machine's load
average when a run began, over the rounds. Weights are random or trained as said; ours, where
random, decides by a script of two speakers in every window, so that the work does not depend on
them."""
_TITLES = {
    ALONE: "Nothing else runs",
    LOADED: "Beside one busy process for each core",
}
_HEADER = (
    "pipeline", "min s", "median s", "min CPU s", "median CPU s", "real-time factor",
    "hours per hour and core", "peak MiB", "load", "rounds", "speakers",
)  # fmt: skip


@dataclass(frozen=True)
class Recording:
    """What is diarized: a WAV file, what it is, and its seconds."""

    path: Path
    audio: str
    audio_seconds: float


@dataclass(frozen=True)
class PipelineRow(Setting):
    """One pipeline under one condition; ``bench_pipeline.json`` has the same keys.

    Attributes:
        pipeline: what exactly ran.
        condition: ``alone``, or ``loaded`` by a busy process for each core.
        audio, audio_seconds: what was diarized.
        rounds: that it finished.
        failure: why it did not finish all of them, or ``""``; without any, what follows is null.
        seconds, seconds_min, cpu_seconds, cpu_seconds_min: median and least time of a run, of wall
            clock and of all threads' CPU.
        real_time_factor: the median of seconds over ``audio_seconds``.
        peak_mib: the most resident memory of the process; null where the system does not tell.
        load_min, load_max: least and greatest load average when a run began.
        speakers: how many it found in its last run.
        stages: the median of seconds of each, where they are known.
    """

    pipeline: str
    condition: str
    audio: str
    audio_seconds: float
    rounds: int
    failure: str
    seconds: float | None = None
    seconds_min: float | None = None
    cpu_seconds: float | None = None
    cpu_seconds_min: float | None = None
    real_time_factor: float | None = None
    peak_mib: float | None = None
    load_min: float | None = None
    load_max: float | None = None
    speakers: int | None = None
    stages: Mapping[str, float] = field(default_factory=dict)


def compare_pipelines(
    subjects: Sequence[Subject],
    recording: Recording,
    setting: Setting,
    rounds: int,
    conditions: Sequence[str],
    folder: Path,
) -> Iterator[list[PipelineRow]]:
    """Let ``subjects`` diarize a recording in turns; those that fail are left out from then on.

    Args:
        subjects: what to compare, installed or not.
        recording: what to diarize.
        setting: the threads and seed to use.
        rounds: of each condition.
        conditions: of ``alone`` and ``loaded``.
        folder: for files, an empty one.

    Yields:
        The rows of each condition.
    """
    failures: dict[Subject, str] = {}
    workers: dict[Subject, Worker] = {}
    try:
        for number, subject in enumerate(subjects):
            own = folder / str(number)
            own.mkdir()
            if missing := PIPELINES[subject.kind].missing:
                _leave_out(subject, f"not there: {', '.join(missing)}; {HINT}", failures)
                continue
            logger.info("loading %s", subject)
            with _failing(subject, failures):
                workers[subject] = Worker(
                    subject, recording.path, own, setting.threads, setting.seed
                )
        for condition in conditions:
            samples: dict[Subject, list[tuple[float, Sample]]] = {each: [] for each in subjects}
            with busy(os.cpu_count() or 1) if condition == LOADED else contextlib.nullcontext():
                for index in range(rounds):
                    logger.info("%s, round %d", condition, index + 1)
                    for subject in [each for each in workers if each not in failures]:
                        load = load_average()
                        with _failing(subject, failures):
                            samples[subject].append((load, workers[subject].run(recording.path)))
            yield [
                make_row(str(each), condition, recording, setting, own, failures.get(each, ""))
                for each, own in samples.items()
            ]
    finally:
        for subject, worker in workers.items():
            if subject not in failures:
                worker.close()


def make_row(
    pipeline: str,
    condition: str,
    recording: Recording,
    setting: Setting,
    samples: Sequence[tuple[float, Sample]],
    failure: str,
) -> PipelineRow:
    """The row of load averages and samples, one of each for every round that was finished."""
    row = PipelineRow(
        **asdict(setting),
        pipeline=pipeline,
        condition=condition,
        audio=recording.audio,
        audio_seconds=recording.audio_seconds,
        rounds=len(samples),
        failure=failure,
    )
    if not samples:
        return row
    loads, found = zip(*samples, strict=True)
    seconds, cpu = [each.seconds for each in found], [each.cpu_seconds for each in found]
    values = {
        "seconds": median(seconds),
        "seconds_min": min(seconds),
        "cpu_seconds": median(cpu),
        "cpu_seconds_min": min(cpu),
        "real_time_factor": median(seconds) / recording.audio_seconds,
        "peak_mib": found[-1].peak_mib,
        "load_min": min(loads),
        "load_max": max(loads),
        "speakers": found[-1].speakers,
        "stages": {
            name: median(each.stages[name] for each in found)
            for name in STAGES
            if name in found[0].stages
        },
    }
    return PipelineRow(**{**vars(row), **values})


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes compute for nothing while the block runs."""
    command = [sys.executable, "-S", "-c", "while True: pass"]
    with contextlib.ExitStack() as stack:
        for _ in range(processes):
            process = subprocess.Popen(command, preexec_fn=ending_with_us())
            stack.enter_context(process)
            stack.callback(process.kill)
        yield


@contextlib.contextmanager
def _failing(subject: Subject, failures: dict[Subject, str]) -> Iterator[None]:
    try:
        yield
    except ChildProcessError as error:
        _leave_out(subject, str(error), failures)


def _leave_out(subject: Subject, why: str, failures: dict[Subject, str]) -> None:
    failures[subject] = why
    logger.warning("left out %s: %s", subject, why)


def render(rows: Sequence[PipelineRow]) -> str:
    """The whole ``bench_pipeline.md``."""
    first = rows[0]
    lines = ["# Whole pipelines, side by side", "", *_EXPLANATION.splitlines(), ""]
    lines += [*describe(first), f"- {first.audio_seconds:g} s: {first.audio}"]
    for condition in dict.fromkeys(row.condition for row in rows):
        own = [row for row in rows if row.condition == condition]
        lines += ["", f"## {_TITLES[condition]}", ""]
        lines.append(Table(_HEADER, [_cells(row) for row in own if row.rounds]).markdown())
        failed = [f"- left out {row.pipeline}: {row.failure}" for row in own if row.failure]
        lines += ["", *failed] if failed else []
        if split := [row for row in own if row.stages]:
            lines += ["", "Where the seconds of ours go, medians:", ""]
            table = [(row.pipeline, *map(_seconds, map(row.stages.get, STAGES))) for row in split]
            lines.append(Table(("pipeline", *STAGES), table).markdown())
    return "\n".join(lines) + "\n"


def _cells(row: PipelineRow) -> tuple[str, ...]:
    return (
        row.pipeline,
        _seconds(row.seconds_min),
        _seconds(row.seconds),
        _seconds(row.cpu_seconds_min),
        _seconds(row.cpu_seconds),
        f"{row.real_time_factor:.3f}",
        f"{row.audio_seconds / row.cpu_seconds:.1f}" if row.cpu_seconds else "n/a",
        "unknown" if row.peak_mib is None else f"{row.peak_mib:.0f}",
        f"{row.load_min:.1f}-{row.load_max:.1f}",
        str(row.rounds),
        str(row.speakers),
    )


def _seconds(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"
