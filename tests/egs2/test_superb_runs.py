"""Two of SUPERB's tasks from training to the result, and the recipe's options."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from egs2.superb.s3prl_prune1.local import run_task as command
from egs2.superb.s3prl_prune1.local.tasks import read_tasks
from espnet_prune.pruning import count_params
from tests.egs2.superb_files import write
from tests.egs2.superb_trees import INTENTS, RECIPE, ROOT, fluent_tree, pairs_tree
from tests.encoders import mini_config, mini_encoder

MINI = read_tasks(RECIPE / "conf/mini.yaml")


def light(folder: Path) -> dict[str, str]:
    """An environment without ESPnet: s3prl then starts in a quarter of the time."""
    write(folder / "espnet2.py", ["raise ModuleNotFoundError('espnet2')"])
    search = os.pathsep.join([str(folder), str(ROOT)])
    return {**os.environ, "HOME": str(folder), "PYTHONPATH": search}


SMALL = (
    "config.runner.total_steps=4",
    "config.runner.eval_step=2",
    "config.runner.save_step=2",
    "config.runner.log_step=2",
)


def run_task(action, name, tmp_path, monkeypatch, *options):
    """One action of a small task in this process, s3prl in others."""
    monkeypatch.setenv("PYTHONPATH", light(tmp_path)["PYTHONPATH"])
    monkeypatch.setenv("HOME", str(tmp_path))
    command.main([
        *(action, name, "--tasks", str(RECIPE / "conf/mini.yaml"), "--device", "cpu"),
        *("--upstream_ckpt", str(upstream(tmp_path)), "--output", str(tmp_path / "exp")),
        *(word for override in (*SMALL, *options) for word in ("--override", override)),
        *("--place", f"fluent={tmp_path / 'fluent'}", "--place", f"libri2mix={tmp_path / 'pairs'}"),
    ])  # fmt: skip
    return tmp_path / "exp" / name


def upstream(folder):
    """A small random encoder, saved once."""
    if not (folder / "upstream").exists():
        mini_encoder().save_pretrained(folder / "upstream")
    return folder / "upstream"


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def test_intents_from_training_to_the_result(tmp_path, monkeypatch):
    pytest.importorskip("s3prl")
    fluent_tree(tmp_path / "fluent")
    folder = run_task("train", "ic", tmp_path, monkeypatch)
    best = folder / "dev-best.ckpt"
    # Noise may leave every dev score at zero, and then there is no best one.
    if not best.exists():
        (folder / "states-4.ckpt").rename(best)
    # A kill while s3prl writes a checkpoint; the next training starts over from what is whole.
    (folder / "states-6.ckpt").write_bytes(best.read_bytes()[:1000])
    run_task("train", "ic", tmp_path, monkeypatch, "config.runner.total_steps=6")
    assert (folder / "states-6.ckpt").stat().st_size > 1000
    run_task("evaluate", "ic", tmp_path, monkeypatch)
    run_task("score", "ic", tmp_path, monkeypatch)
    results = folder / "evaluate/dev-best"
    truth = (results / "test_truth.csv").read_text().splitlines()
    assert truth == [f"{n},{','.join(INTENTS[n % 2])}" for n in range(4)]
    # What s3prl itself prints of the same evaluation.
    printed = re.findall(r"test acc: (\S+)", (results / "evaluate.log").read_text())
    assert result_of(folder)["metrics"] == {"IC": pytest.approx(float(printed[-1]))}
    assert result_of(folder)["params"] == count_params(mini_config()).total


@pytest.mark.slow
def test_diarization_from_training_to_the_result(tmp_path, monkeypatch):
    pytest.importorskip("s3prl")
    pytest.importorskip("h5py")
    pairs_tree(tmp_path / "pairs")
    folder = run_task("train", "sd", tmp_path, monkeypatch)
    run_task("evaluate", "sd", tmp_path, monkeypatch)
    log = (folder / "evaluate/best-states-dev/evaluate.log").stat()
    run_task("evaluate", "sd", tmp_path, monkeypatch)  # finished already
    assert (folder / "evaluate/best-states-dev/evaluate.log").stat() == log
    run_task("score", "sd", tmp_path, monkeypatch)
    result = result_of(folder)
    assert min(result["details"]["choices"].values()) == result["metrics"]["DER"]
    assert 0 < result["metrics"]["DER"] < 3 and result["lr"] == MINI["sd"].lr


def test_a_failure_of_s3prl_shows_the_end_of_its_log(tmp_path, monkeypatch):
    pytest.importorskip("s3prl")
    with pytest.raises(SystemExit, match=r"s3prl failed with status 1(.|\n)*train_data.csv"):
        run_task("train", "ic", tmp_path, monkeypatch)


def test_help_and_wrong_options():
    for script in ("run.sh", "run_mini.sh"):
        shown = subprocess.run([RECIPE / script, "--help"], capture_output=True, text=True)
        assert shown.returncode == 0 and "Options (default)" in shown.stdout
        assert re.search(r"^  --tasks \(.*ic sd|er ic", shown.stdout, re.MULTILINE)
    refused = subprocess.run([RECIPE / "run.sh"], capture_output=True, text=True)
    assert refused.returncode == 2 and "--upstream_ckpt is required" in refused.stderr
