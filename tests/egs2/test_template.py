"""The recipes' own shell: options, the runner, stages that remember."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

EGS2 = Path(__file__).parents[2] / "egs2"
UTILS = EGS2 / "TEMPLATE/prune_utils"
RECIPES = sorted(EGS2.glob("*/*/run.sh"))

# Stands for Python: writes down what it is called with and makes what the commands would.
PYTHON = r"""#!/usr/bin/env bash
set -eu
case "$1" in *sign.py) exec {python} "$@" ;; esac
printf '%s\0' "$@" >> {log}
echo >> {log}
output=
verb=${{2##*.}}
words=("$@")
for ((i = 1; i < $#; i++)); do
    case "${{words[i]}}" in --output | --output_dir) output=${{words[i + 1]}} ;; esac
done
if [ "$verb" = convert ]; then output=${{@: -1}}; mkdir "$output"; fi
case "$output" in
    "") ;;
    *.rttm | *.zip) mkdir -p "$(dirname -- "$output")"; touch -- "$output" ;;
    *) mkdir -p -- "$output"; ls -A "$output" >> {log}; touch -- "$output/epoch" ;;
esac
case "$verb ${{3-}}" in
    "report diarization") touch "$4/RESULTS.md" ;;
    score_der*) echo score ;;
esac
if [ -e {fail}."$verb" ]; then
    echo $$ > {fail}.pid
    if [ "$(< {fail}."$verb")" = wait ]; then sleep 1000; fi
    exit 1
fi
"""
NAME = "-my \"exp\" 'of' * ünï"


class Recipe:
    """The diarization recipe in a folder of a difficult name, with a stub of Python."""

    def __init__(self, root):
        self.root, self.folder = root, root / NAME
        self.folder.mkdir()
        for link in ("diar.sh", "path.sh", "cmd.sh", "utils"):
            (self.folder / link).symlink_to((EGS2 / "mini_meeting/diar_prune1" / link).resolve())
        for folder in ("local", "conf", "it's a model"):
            (self.folder / folder).mkdir()
        for name in ("train", "prune", "distill", "decode"):
            (self.folder / f"conf/{name} 1.yaml").write_text("a: 1\n")
        (self.folder / "it's a model/model.safetensors").write_text("weights")
        (self.folder / "local/data.sh").write_text("#!/bin/sh\necho data >> log\n")
        (self.folder / "local/data.sh").chmod(0o755)
        self.log, self.fail = root / "log", root / "fail"
        stub = PYTHON.format(python=sys.executable, log=self.log, fail=self.fail)
        (root / "my python").write_text(stub)
        (root / "my python").chmod(0o755)

    def command(self, *options):
        words = ["./diar.sh", "--ssl_model", "it's a model", "--python", self.root / "my python"]
        words += ["--expdir", NAME, "--dumpdir", f"dump {NAME}", "--inference_config"]
        words += ["conf/decode 1.yaml", "--train_config", "conf/train 1.yaml"]
        words += ["--pruned_config", "conf/train 1.yaml", "--pruning_config", "conf/prune 1.yaml"]
        words += ["--distill_config", "conf/distill 1.yaml", "--results_md", "-my results.md"]
        return [*map(str, words), *map(str, options)]

    def start(self, *options):
        return subprocess.Popen(
            self.command(*options),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A job of a script in the background ignores Ctrl-C, and its children do.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def __call__(self, *options, status=0):
        """The numbers of the stages that ran."""
        process = self.start(*options)
        out, err = process.communicate()
        assert process.returncode == status, out + err
        self.out, self.err = out, err
        lines = [line for line in out.splitlines() if ") Stage " in line]
        return [
            int(line.split(") Stage ")[1].split(":")[0]) for line in lines if "finished" not in line
        ]


@pytest.fixture
def recipe(tmp_path):
    return Recipe(tmp_path)


ALL = list(range(1, 14))


def test_any_name_survives_and_finished_stages_are_skipped(recipe):
    strangers = [recipe.folder / name for name in ("my", "-my", "exp", "of", "dump", NAME + "2")]
    for folder in strangers:
        folder.mkdir(exist_ok=True)
        (folder / "file").touch()
    assert recipe() == ALL
    assert recipe() == [], recipe.out
    assert all((folder / "file").exists() for folder in strangers)
    calls = recipe.log.read_text()
    assert f"./{NAME}/dense_train\0" in calls and "it's a model\0" in calls
    assert f"dump {NAME}/raw/train\0" in calls
    assert (recipe.folder / "-my results.md").exists()


def test_what_changes_a_stage(recipe):
    recipe()

    def one(stage, *options):
        return recipe("--stage", stage, "--stop_stage", stage, *options) == [stage]

    for stage, *options in (
        (11, "--collar", "0.25"),
        (11, "--seed", "1"),
        (8, "--inference_model", "1epoch.pth"),
        (9, "--window_size", "4"),
        (6, "--valid_set", "other"),
        (5, "--train_args", "--optim_conf lr=1e-3"),
        (2, "--test_sets", "test other"),
    ):
        assert one(stage, *options) and not one(stage, *options), options
    # How something runs is not what is run.
    assert one(5) and not one(5, "--nj", "7", "--ngpu", "2", "--train_args", "--num_workers 3")
    yaml, base = (recipe.folder / f"conf/{name}.yaml" for name in ("train 1", "base"))
    yaml.write_text("# comment\nnum_workers: 7\na: 1\n")
    assert not one(5)
    base.write_text("b: 1\n")
    yaml.write_text("a: 1\nbase: base.yaml\n")
    assert one(5)
    base.write_text("b: 2\n")
    assert one(5)
    (recipe.folder / "it's a model/model.safetensors").write_text("others")
    assert one(4)


def test_a_strangers_folder_is_refused(recipe):
    stranger = recipe.folder / NAME / "ssl"
    stranger.mkdir(parents=True)
    (stranger / "file").touch()
    assert recipe("--stage", "4", status=2) == [4]
    assert "found no .made_by_recipe in it" in recipe.err and recipe.err.count("\n") == 1
    assert (stranger / "file").exists()


def test_a_failed_redo_is_not_done_and_resumes(recipe):
    stages = ["--stage", "5", "--stop_stage", "6"]
    recipe(*stages)
    failing = recipe.root / "fail.apply_pruning"
    failing.touch()
    assert recipe(*stages, "--redo", "true", status=1) == [5]
    failing.unlink()
    assert recipe(*stages) == [5, 6]
    assert "resumes in" in recipe.out
    failing.touch()
    assert recipe(*stages, "--seed", "3", status=1) == [5]
    failing.unlink()
    assert recipe(*stages) == [5, 6]
    assert "starts afresh" in recipe.out


def test_repeating_a_stage_makes_later_ones_stale(recipe):
    stages = ["--stage", "6", "--stop_stage", "7"]
    assert recipe(*stages) == [6, 7]
    assert recipe("--stage", "6", "--stop_stage", "6", "--redo", "true") == [6]
    assert recipe(*stages) == [7]


def test_an_earlier_versions_training_is_kept(recipe):
    training = recipe.folder / NAME / "dense_train"
    training.mkdir(parents=True)
    (training / "latest.pth").touch()
    (recipe.folder / NAME / ".stages").mkdir()
    (recipe.folder / NAME / ".stages/5.done").write_text(
        "da39a3ee5e6b4b0d3255bfef95601890afd80709\n"
    )
    assert recipe("--stage", "5", status=2) == [5]
    assert (training / "latest.pth").exists() and "an earlier version" in recipe.out


def wait_for(path):
    while not (path.exists() and path.read_text().strip()):
        time.sleep(0.02)
    return int(path.read_text())


def gone(pid):
    while True:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_children_end_with_their_parent_and_a_second_call_is_refused(recipe, number):
    (recipe.root / "fail.apply_pruning").write_text("wait")
    process = recipe.start("--stage", "7")
    child = wait_for(recipe.root / "fail.pid")
    assert recipe("--stage", "7", status=2) == []
    assert f"in use by process {process.pid} on " in recipe.err and recipe.err.count("\n") == 1
    process.send_signal(number)
    process.communicate()
    assert process.returncode == {signal.SIGTERM: 143, signal.SIGINT: 130}.get(number, -9)
    assert gone(child)
    (recipe.root / "fail.apply_pruning").unlink()
    assert recipe("--stage", "7", "--stop_stage", "7") == [7]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--stag", "3"], "there is no option --stag"),
        (["--stage"], "--stage needs a value"),
        (["--redo", "maybe"], "expects true or false"),
        (["--stage", "x"], "expects a whole number from 1, found 'x'"),
        (["--stage", "0"], "expects a whole number from 1, found '0'"),
        (["--nj", "0"], "expects a whole number from 1, found '0'"),
        (["--collar", "x"], "expects a number, found 'x'"),
        (["--home", "x"], "there is no option --home"),
        (["--stop_stage", "99"], "--stop_stage expects 1 to 13, found '99'"),
        (["--stage", "5", "--stop_stage", "3"], "expected --stage up to --stop_stage (3), found 5"),
        (["--stage=3"], "expected '--name value'"),
    ],
)
def test_wrong_options_are_explained(recipe, arguments, message):
    assert recipe(*arguments, status=2) == []
    assert message in recipe.err and recipe.err.count("\n") == 1


def test_runner_is_run_pl_compatible(tmp_path):
    runner, log = UTILS / "run.pl", tmp_path / "log/job.JOB.log"
    command = [runner, "--gpu", "0", "--mem", "1G", "JOB=1:3", log, "echo", "job", "JOB"]
    assert subprocess.run(command).returncode == 0
    assert "job 2" in (tmp_path / "log/job.2.log").read_text()
    odd = tmp_path / "a JOB 'of' *" / "-log"
    command = [runner, "_JOB_=1:2", f"{odd}_JOB_", "echo", "a  b", "*", "_JOB_"]
    assert subprocess.run(command).returncode == 0
    lines = Path(f"{odd}2").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["a  b * 2"]
    full = subprocess.run([runner, "/dev/full", "echo", "x"], capture_output=True, text=True)
    assert full.returncode == 1 and full.stderr.count("\n") == 1 and "disk full" in full.stderr
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
        subprocess.run([*map(str, command)], cwd=EGS2 / "mini_meeting/diar_prune1", check=True)
        files = [tmp_path / "dump/raw" / name / "windows" for name in ("train", "dev")]
        return [[float(row.split()[2]) for row in f.read_text().splitlines()] for f in files]

    assert starts("--window_shift", "4") == [[0, 4, 8, 12], [0, 4, 8, 12]]
    assert starts("--valid_window_shift", "8") == [[0, 6, 12], [0, 8, 12]]
