"""The recipes' own shell: options, the runner, stages that remember."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

EGS2 = Path(__file__).parents[2] / "egs2"
UTILS = EGS2 / "TEMPLATE/utils"
RECIPES = sorted(EGS2.glob("*/*/run.sh"))

STAGES = """
set -euo pipefail
expdir=$1 redo=$2 input=$3 fail=$4
shift 4
log() { :; }
. {utils}/stages.sh
stage_1() {{ echo one; }}
stage_2() {{
    mkdir -p "$expdir/model"
    ls "$expdir/model"
    touch "$expdir/model/epoch"
    if [ "$fail" = true ]; then kill -9 $$; fi
    echo two
}}
run_stage 1 first "data" ""
run_stage 2 second "$input" "$expdir/model"
"""


def bash(script, *arguments):
    command = ["bash", "-c", script, "recipe", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def stages(tmp_path):
    script = STAGES.replace("{utils}", str(UTILS)).replace("{{", "{").replace("}}", "}")

    def run(redo="false", value="a", fail="false"):
        lines = bash(script, tmp_path, redo, value, fail).stdout.splitlines()
        return [line for line in lines if line in ("one", "two", "epoch")]

    return run


def test_finished_stages_are_skipped(stages):
    assert stages() == ["one", "two"]
    assert stages() == []
    assert stages(redo="true") == ["one", "two"]


def test_a_killed_stage_resumes(stages):
    assert stages(fail="true") == ["one"]
    assert stages() == ["epoch", "two"]  # what it had written was still there
    assert stages() == []


def test_changed_inputs_start_afresh(stages):
    assert stages(fail="true") == ["one"]
    assert stages(value="b") == ["two"]
    assert stages(value="c") == ["two"]


def test_an_earlier_stage_makes_later_ones_stale(stages, tmp_path):
    stages()
    (tmp_path / ".stages/1.done").unlink()
    assert stages() == ["one", "two"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--stag", "3"], "there is no option --stag"),
        (["--stage"], "--stage needs a value"),
        (["--redo", "maybe"], "expects true or false"),
        (["--stage=3"], "expected '--name value'"),
    ],
)
def test_wrong_options_are_explained(arguments, message):
    script = f"stage=1 redo=false; . {UTILS}/parse_options.sh; echo $stage"
    result = bash(script, *arguments)
    assert result.returncode == 2 and message in result.stderr
    assert bash(script, "--stage", "3").stdout == "3\n"


def test_runner_is_run_pl_compatible(tmp_path):
    runner, log = UTILS / "run.pl", tmp_path / "log/job.JOB.log"
    command = [runner, "--gpu", "0", "--mem", "1G", "JOB=1:3", log, "echo", "job", "JOB"]
    assert subprocess.run(command).returncode == 0
    assert "job 2" in (tmp_path / "log/job.2.log").read_text()
    failing = subprocess.run([runner, log, "false"], capture_output=True, text=True)
    assert failing.returncode == 1 and f"log is in {log}" in failing.stderr


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: "/".join(path.parts[-3:-1]))
def test_every_recipe_has_help(recipe):
    result = subprocess.run([recipe, "--help"], capture_output=True, text=True, check=True)
    assert "--stop_stage" in result.stdout and "Stages" in result.stdout


def test_validation_windows_have_a_shift_of_their_own(tmp_path):
    for name in ("train", "dev"):
        folder = tmp_path / "dump/raw" / name
        folder.mkdir(parents=True)
        soundfile.write(folder / "a.wav", np.zeros(20 * 16000, np.float32), 16000)
        (folder / "wav.scp").write_text(f"a {folder}/a.wav\n")
        (folder / "rttm").write_text("SPEAKER a 1 1.0 2.0 <NA> <NA> x <NA> <NA>\n")

    def starts(*options):
        command = ["./diar.sh", "--ssl_model", "none", "--stage", "3", "--stop_stage", "3"]
        command += ["--dumpdir", tmp_path / "dump", "--expdir", tmp_path / "exp"]
        command += ["--python", sys.executable, *options]
        subprocess.run([*map(str, command)], cwd=EGS2 / "mini_meeting/diar1", check=True)
        files = [tmp_path / "dump/raw" / name / "windows" for name in ("train", "dev")]
        return [[float(row.split()[2]) for row in f.read_text().splitlines()] for f in files]

    assert starts("--window_shift", "4") == [[0, 4, 8, 12], [0, 4, 8, 12]]
    assert starts("--valid_window_shift", "8") == [[0, 6, 12], [0, 8, 12]]
