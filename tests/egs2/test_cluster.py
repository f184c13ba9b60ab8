"""Recipes on a cluster: what SLURM is asked for, and what then runs on which nodes."""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("espnet2")

from tests.egs2.cluster import Cluster
from tests.egs2.espnet_checkout import ROOT

TRAIN = ["./run.sh", "--stage", "5", "--stop_stage", "5"]


@pytest.fixture
def cluster(checkout: Path, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, checkout / "tools/kaldi/egs/wsj/s5/utils")


def run(folder: Path, cluster: Path, *command: str, **variables: str):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    environment["PATH"] = f"{cluster}:{environment['PATH']}"
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def pairs(words: list[str]) -> dict[str, str]:
    """The options and their values, but for what carries its value itself."""
    return {a: b for a, b in pairwise(words) if a.startswith("--")}


@pytest.mark.parametrize("recipe, nodes", [("ami", 1), ("ami_aishell4_alimeeting", 2)])
def test_what_a_training_asks_slurm_for(checkout, cluster, tmp_path, recipe, nodes):
    folder = checkout / "egs2" / recipe / "diar_prune1"
    options = ["--ngpu", "4", "--num_nodes", str(nodes), "--python", str(tmp_path / "python")]
    done = run(folder, tmp_path, *TRAIN, *options, cmd_backend="slurm")
    assert done.returncode == 0, done.stderr
    submitted, *started, training, _apply = cluster.words()
    assert submitted[:3] == ["sbatch", "--export=PATH", "--ntasks-per-node=1"]
    assert submitted[-1].endswith("exp/dense_train/q/train.sh")
    asked = {
        "--time": "2-00:00:00",
        "--mem-per-cpu": "8G",
        "--partition": "gpu",
        "--gres": "gpu:4",
        "--cpus-per-task": "4",
    }
    assert pairs(submitted[3:]) == (asked | {"--nodes": "2"} if nodes > 1 else asked)
    # Inside the job path.sh is read again; the PATH alone came from outside.
    assert training[:3] == ["there", "-m", "espnet_prune.bin.powerset_train"]
    told = pairs(training)
    assert told["--config"] == "conf/train.yaml" and told["--output_dir"] == "exp/dense_train"
    assert told["--ngpu"] == "4" and told["--multiprocessing_distributed"].lower() == "true"
    if nodes == 1:
        assert not started and "--dist_launcher" not in told and "--dist_init_method" not in told
        return
    ((program, cpus, environment, *words),) = started
    assert (program, cpus, environment) == ("srun", "4", "--export=ALL")
    assert words[1:] == training[1:]
    assert told["--dist_launcher"] == "slurm"
    assert told["--dist_init_method"].startswith(f"file://{folder}/exp/dense_train/.dist_init_")


def test_options_in_cmd_sh_go_before_the_configuration(checkout, cluster, tmp_path):
    folder = checkout / "egs2/aishell4/diar_mine1"
    shutil.copytree(folder.parent / "diar_prune1", folder, symlinks=True)
    (folder / "cmd.sh").unlink()
    (folder / "cmd.sh").write_text(
        'cmd_backend=slurm\ncuda_cmd="slurm.pl --mem 4G --time 12:00:00 --name aishell4"\n'
    )
    done = run(folder, tmp_path, *TRAIN, "--ngpu", "1", "--python", str(tmp_path / "python"))
    assert done.returncode == 0, done.stderr
    told = pairs(cluster.words()[0])
    assert (told["--mem-per-cpu"], told["--time"]) == ("4G", "12:00:00")
    assert (told["--job-name"], told["--gres"]) == ("aishell4", "gpu:1")


def test_inference_is_shared_among_jobs(checkout, cluster, tmp_path):
    folder = checkout / "egs2/ami/diar_prune1"
    options = ["./run.sh", "--stage", "10", "--stop_stage", "10", "--inference_nj", "2"]
    options += ["--gpu_inference", "true", "--python", str(tmp_path / "python")]
    done = run(folder, tmp_path, *options, cmd_backend="slurm")
    assert done.returncode == 0, done.stderr
    first, one, second, two, whole, *_ = cluster.words()
    for submitted, job, part in ((first, one, "1/2"), (second, two, "2/2")):
        assert submitted[0] == "sbatch" and pairs(submitted)["--gres"] == "gpu:1"
        assert job[:3] == ["there", "-m", "espnet_prune.bin.diarize"] and job[-2:] == [
            "--part",
            part,
        ]
    assert whole[1:] == one[1:-2] == two[1:-2]  # which joins what they left


@pytest.mark.parametrize(
    "backend, options, said",
    [
        ("slurm", [], "needs slurm.pl, found none on the PATH"),
        ("sge", [], "needs queue.pl, found none on the PATH"),
        ("condor", [], "expected cmd_backend local, slurm, sge, pbs or ssh, found 'condor'"),
        ("local", ["--num_nodes", "2"], "--num_nodes 2 needs cmd_backend=slurm"),
    ],
)
def test_what_is_missing_is_said_in_a_line_before_anything_runs(tmp_path, backend, options, said):
    folder = ROOT / "egs2/alimeeting/diar_prune1"
    refused = run(
        folder, tmp_path, *TRAIN, *options, "--expdir", str(tmp_path / "exp"), cmd_backend=backend
    )
    assert refused.returncode == 2 and said in refused.stderr
    assert refused.stderr.count("\n") == 1 and not (tmp_path / "exp").exists()
