"""A pipeline in a process of its own, which diarizes whenever it is told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.children import ending_with_us
from benchmarks.memory import peak_mib
from benchmarks.pipelines import PIPELINES, Outcome, Subject

_PREPARE = "prepare"


class Sample(NamedTuple):
    """What one run took, and found.

    Attributes:
        seconds, cpu_seconds: of wall clock, and of the process's threads together.
        peak_mib: the most resident memory of the process so far; None where nothing tells.
        speakers: how many were found.
        stages: seconds of wall clock for each, where they are known.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float | None
    speakers: int
    stages: dict[str, float]


def command(subject: Subject, folder: Path, threads: int, seed: int, task: str) -> list[str]:
    """The command line of the process; its task is the first recording, or to prepare."""
    values = json.dumps(asdict(subject)), str(folder), str(threads), str(seed), task
    return [sys.executable, "-W", "ignore", "-m", __name__, *values]


class Worker:
    """Such a process, loaded, that has diarized ``wav`` once.

    Raises:
        ChildProcessError: it ended; so do calls of :meth:`run`.
    """

    def __init__(self, subject: Subject, wav: Path, folder: Path, threads: int, seed: int):
        # It lives as long as the process.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        if PIPELINES[subject.kind].prepare:
            self._start(command(subject, folder, threads, seed, _PREPARE))
            self._process.communicate()
            if self._process.returncode:
                raise self._end()
        self._start(command(subject, folder, threads, seed, str(wav)))
        self._answer()

    def run(self, wav: Path) -> Sample:
        """Diarize a recording."""
        assert self._process.stdin
        try:
            print(wav, file=self._process.stdin, flush=True)
        except BrokenPipeError as error:
            raise self._end() from error
        return Sample(**self._answer())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _start(self, command: list[str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=self._errors,
            text=True,
            preexec_fn=ending_with_us(),
        )

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise self._end()
        return json.loads(line)

    def _end(self) -> ChildProcessError:
        status = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().strip().splitlines()
        self.close()
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        return ChildProcessError(f"its process ended with {how}: {said[-1] if said else 'silent'}")


def measure(run: Any, wav: Path) -> Sample:
    """Diarize a recording in this process."""
    start, cpu = time.perf_counter(), time.process_time()
    found = run(wav)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    outcome = found if isinstance(found, Outcome) else Outcome(found)
    return Sample(seconds, cpu_seconds, peak_mib(), outcome.speakers, dict(outcome.stages))


def main() -> None:
    """The other process: a line of JSON for the first recording, and one for each line of stdin."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed
    subject = Subject(**json.loads(sys.argv[1]))
    folder, threads, seed, task = Path(sys.argv[2]), *map(int, sys.argv[3:5]), sys.argv[5]
    pipeline = PIPELINES[subject.kind]
    if task == _PREPARE:
        assert pipeline.prepare
        pipeline.prepare(folder, seed)
        return
    run = pipeline.load(folder, threads, seed, **subject.options)
    print(json.dumps(measure(run, Path(task))._asdict()), file=answers, flush=True)
    for line in sys.stdin:
        sample = measure(run, Path(line.rstrip("\n")))
        print(json.dumps(sample._asdict()), file=answers, flush=True)


if __name__ == "__main__":
    main()
