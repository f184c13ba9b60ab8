"""The recipes' own shell: options, the runner, stages that remember; and every YAML builds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from espnet_prune.diarization.model import DiarizationConfig
from espnet_prune.diarization.pipeline import InferenceConfig
from espnet_prune.distillation import LayerwiseDistillation
from espnet_prune.pruning import Pruner, PruningConfig
from espnet_prune.ssl import PRESETS

EGS2 = Path(__file__).parents[2] / "egs2"
UTILS = EGS2 / "TEMPLATE/utils"
RECIPES = sorted(EGS2.glob("*/*/run.sh"))

STAGES = """
set -euo pipefail
expdir=$1 redo=$2 input=$3 fail=$4
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


@pytest.mark.parametrize(
    "path", sorted(EGS2.rglob("conf/**/*.yaml")), ids=lambda path: "/".join(path.parts[-4:])
)
def test_every_yaml_builds(path):
    pytest.importorskip("espnet2")
    from espnet_prune.espnet.distillation_task import DistillationTask
    from espnet_prune.espnet.powerset_task import PowersetDiarizationTask
    from espnet_prune.espnet.voice_task import VoiceTask

    values = yaml.safe_load(path.read_text())
    if path.stem.startswith("decode"):
        assert InferenceConfig(**values)
        return
    command = ["--config", str(path), "--output_dir", "exp"]
    if "distill_conf" in values:
        args = DistillationTask.get_parser().parse_args(
            [*command, "--student", "student", "--teacher", "teacher"]
        )
        LayerwiseDistillation(**args.distill_conf)
        if args.pruning_conf:
            Pruner(PRESETS["wavlm_mini"](), PruningConfig.from_dict(args.pruning_conf))
    elif "diarization_conf" in values:
        args = PowersetDiarizationTask.get_parser().parse_args(command)
        DiarizationConfig.from_dict(args.diarization_conf)
    else:
        VoiceTask.build_model(VoiceTask.get_parser().parse_args(command))
