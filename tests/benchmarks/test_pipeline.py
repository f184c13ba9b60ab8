"""Pipelines side by side: turns, rows, what fails, and ours for real."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks import pipeline, pipeline_worker, pipelines, run_bench_pipeline
from benchmarks.audio import converse
from benchmarks.pipeline import ALONE, LOADED, busy
from benchmarks.pipeline_worker import Worker
from benchmarks.pipelines import OURS, PIPELINES, Pipeline, Subject, installed
from benchmarks.stages import STAGES
from espnet_prune.data.audio import AudioStream

OPTIONS = dict(
    model="whisper_tiny_en", step=2.0, embedding="resnet34", precision="float32", stretch=0.0
)
# Answers at once; the second argument is after how many answers it is gone.
FAKE = """
import itertools, json, sys
last, number = int(sys.argv[1]), 0
for line in itertools.chain(["first"], sys.stdin):
    if number == last:
        sys.exit("first line\\nexpected a friendlier machine")
    number += 1
    sample = dict(seconds=3.0 / number, cpu_seconds=1.0, peak_mib=7.0, speakers=2, stages={})
    print(json.dumps(sample), flush=True)
"""


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> list[Subject]:
    """Subjects that live long, die while they load, die in their first round, and are not there."""
    lives = {"sound": 1000, "stillborn": 0, "mortal": 2, "absent": 0}
    kinds = {
        kind: Pipeline(lambda kind=kind: f"the {kind} one", None, ["no_such.package"][: not life])
        for kind, life in lives.items()
    }
    kinds["stillborn"] = Pipeline(lambda: "the stillborn one", None)
    monkeypatch.setattr(pipelines, "PIPELINES", kinds)
    monkeypatch.setattr(pipeline, "PIPELINES", kinds)
    monkeypatch.setattr(pipeline_worker, "PIPELINES", kinds)
    monkeypatch.setattr(
        pipeline_worker,
        "command",
        lambda subject, *_: [sys.executable, "-c", FAKE, str(lives[subject.kind])],
    )
    monkeypatch.setattr(pipeline, "busy", lambda number: busy(0))
    return [Subject(kind) for kind in lives]


def test_a_row_for_each_subject_and_condition(
    fakes, tmp_path: Path, monkeypatch, capsys, caplog
) -> None:
    monkeypatch.setattr(run_bench_pipeline, "find_subjects", lambda *_: fakes)
    monkeypatch.setattr(run_bench_pipeline, "converse", lambda *_: "silence")
    run_bench_pipeline.main(["--rounds", "3", "--seconds", "2", "--output", str(tmp_path)])
    rows = json.loads((tmp_path / "bench_pipeline.json").read_text())
    assert [(row["condition"], row["pipeline"]) for row in rows] == [
        (condition, f"the {fake.kind} one") for condition in (ALONE, LOADED) for fake in fakes
    ]
    assert [row["rounds"] for row in rows] == [3, 0, 1, 0, 3, 0, 0, 0]
    for row in rows:
        assert bool(row["failure"]) == (row["pipeline"] != "the sound one")
        assert (row["seconds"] is None) == (row["rounds"] == 0)
        if row["rounds"]:
            assert row["seconds_min"] <= row["seconds"] and row["load_min"] <= row["load_max"]
            assert row["real_time_factor"] == pytest.approx(row["seconds"] / 2, rel=1e-3)
    # The first answer, of a run that is not measured, is in no row.
    assert (rows[0]["seconds"], rows[0]["seconds_min"]) == (1.0, 0.75)
    said = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert said == [
        "left out the stillborn one: its process ended with status 1: expected a friendlier "
        "machine",
        "left out the absent one: not there: no_such.package; pip install -e '.[peers]'",
        "left out the mortal one: its process ended with status 1: expected a friendlier machine",
    ]
    shown = (tmp_path / "bench_pipeline.md").read_text()
    assert capsys.readouterr().out.strip() == shown.strip()
    assert all(f"- {line}" in shown for line in said) and "| the sound one" in shown
    header, _, *lines = [line for line in shown.splitlines() if line.startswith("|")]
    place = [cell.strip() for cell in header.split("|")].index("hours per hour and core")
    assert lines[0].split("|")[place].strip() == "2.0"  # two seconds of audio for one of CPU
    run_bench_pipeline.main(["--rounds", "1", "--no-load", "--output", str(tmp_path)])
    assert len(json.loads((tmp_path / "bench_pipeline.json").read_text())) == len(fakes)


def test_a_process_that_is_killed_says_by_what(monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import os; os.kill(os.getpid(), 4)"
    monkeypatch.setattr(pipeline_worker, "command", lambda *_: [sys.executable, "-c", script])
    with pytest.raises(ChildProcessError, match="its process ended with SIGILL: silent"):
        Worker(Subject(OURS), Path("any"), Path("any"), 1, 0)


def test_busy_processes_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    popen = pipeline.subprocess.Popen
    monkeypatch.setattr(
        pipeline.subprocess,
        "Popen",
        lambda *args, **more: made.append(popen(*args, **more)) or made[-1],
    )
    with busy(2):
        assert [process.poll() for process in made] == [None, None]
    assert all(process.returncode for process in made)


def test_names_say_what_runs() -> None:
    for kind, each in PIPELINES.items():
        title = str(Subject(kind, OPTIONS if kind == OURS else {}))
        assert "random" in title or "trained" in title
        assert all(installed(name) for name in each.packages) == (not each.missing)
    assert not installed("no_such.package") and installed("os.path")


def test_ours_in_a_process_of_its_own(tmp_path: Path) -> None:
    converse(tmp_path / "a.wav", 9.0, 0, 3)
    with AudioStream(tmp_path / "a.wav") as audio:
        assert audio.num_samples == 9 * 16000
    worker = Worker(Subject(OURS, OPTIONS), tmp_path / "a.wav", tmp_path, 1, 0)
    try:
        found = worker.run(tmp_path / "a.wav")
    finally:
        worker.close()
    assert found.seconds >= sum(found.stages.values()) > 0.9 * found.seconds
    assert set(found.stages) == set(STAGES) and found.speakers >= 1
    assert found.peak_mib is None or found.peak_mib > 50


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in PIPELINES if kind != OURS])
def test_peers(kind: str, tmp_path: Path) -> None:
    if missing := PIPELINES[kind].missing:
        pytest.skip(f"needs {', '.join(missing)}")
    converse(tmp_path / "a.wav", 20.0, 0, 2)
    worker = Worker(Subject(kind), tmp_path / "a.wav", tmp_path, os.cpu_count() or 1, 0)
    try:
        assert worker.run(tmp_path / "a.wav").speakers >= 1
    finally:
        worker.close()
