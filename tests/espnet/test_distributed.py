"""Several processes train what one does and end as one does, started by ESPnet's own options.

Dropout is off; each process takes every other item of a batch, its losses count with the weight of
its part, gates draw equal noise from equal seeds, and crops are not cut. What is left is the order
of sums, which is why the weights are float64; SGD does not magnify it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch
from espnet2.tasks.asr import ASRTask

from espnet_prune.bin import distill_train, powerset_train
from espnet_prune.report.history import read_history
from tests.espnet.ranks import run_ranks
from tests.espnet.speech_corpus import training_options, write_corpus, write_tokens
from tests.espnet.test_training import CLIPPED, HEAD, assert_same, weights

SGD = ["--optim", "sgd", "--optim_conf", "lr=0.01", "--train_dtype", "float64"]
PRUNING = ["--pruning_conf", "{target: 0.5, warmup_steps: 4, gate_lr: 0.1}"]
# What two nodes of SLURM see, on one.
SLURM = """#!/bin/sh
shift 6; log=$1; shift; exec "$@" > "$log" 2>&1
"""
SRUN = """#!/bin/sh
shift
export SLURM_NTASKS=2 SLURM_STEP_NUM_NODES=2 SLURM_STEP_NODELIST=localhost
SLURM_PROCID=0 SLURM_NODEID=0 SLURM_LOCALID=0 "$@" &
SLURM_PROCID=1 SLURM_NODEID=1 SLURM_LOCALID=0 "$@"; second=$?
wait $! && exit $second
"""


@pytest.fixture
def distilled(options, encoder_folder, teacher_folder):
    """Distillation that prunes; the layer above those that are distilled does not learn."""
    task = ["--student", str(encoder_folder), "--teacher", str(teacher_folder)]
    task += ["--distill_conf", "layers=[0, 2]", *PRUNING, *CLIPPED, *SGD]
    return distill_train.main, lambda folder: options(folder, labels=False, max_epoch=3) + task


@pytest.fixture
def diarized(options, encoder_folder):
    """Pruning by the loss of diarization, which stops early: its best is the first epoch."""
    task = ["--frontend_conf", f"model={encoder_folder}", "--ssl_lr", "0.02", *PRUNING, *SGD]
    for conf in (HEAD.replace("}", ", dropout: 0.0}"), "max_speakers=2", "window_size=2.0"):
        task += ["--diarization_conf", conf]
    task += ["--early_stopping_criterion", "valid", "loss", "max", "--patience", "0"]
    return powerset_train.main, lambda folder: options(folder, max_epoch=5) + task


@pytest.fixture
def recognised(tmp_path, encoder_folder, teacher_folder):
    """ESPnet's own command, pruning by its loss over utterances and a teacher's over frames."""
    corpus = write_corpus(tmp_path)
    more = [*write_tokens(tmp_path, "word"), *PRUNING, *SGD, "--teacher", str(teacher_folder)]
    more += ["--distill_conf", "layers=[0, 3]"]
    return ASRTask.main, lambda folder: [*training_options(corpus, folder, encoder_folder), *more]


@pytest.fixture(params=["distilled", "diarized", "recognised"])
def kind(request):
    """The command, and its words for an output folder."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def damaged(windows, tmp_path):
    """The windows, whose last one has values that are not those of audio; its words' place."""

    def build(words, split, value):
        shutil.copytree(windows.parent, tmp_path / "damaged")
        audio, rate = soundfile.read(windows.parent / "b.wav", dtype="float32")
        audio[-rate // 2 :] = value
        soundfile.write(tmp_path / "damaged/b.wav", audio, rate, subtype="FLOAT")
        table = (windows.parent / "wav.scp").read_text()
        (tmp_path / "damaged/wav.scp").write_text(
            table.replace(f"b {windows.parent}", f"b {tmp_path}/damaged")
        )
        return [
            word.replace(str(windows.parent), f"{tmp_path}/damaged")
            if option.startswith(f"--{split}") else word
            for option, word in pairwise(["", *words])
        ]  # fmt: skip

    return build


def difference(ours, theirs):
    assert ours.keys() == theirs.keys()
    return max(
        float((ours[name] - theirs[name]).abs().max()) for name in ours if ours[name].numel()
    )


def statistics(folder):
    """Those of each epoch that are no times."""
    return {
        (epoch, split, name): value
        for epoch, splits in read_history(folder / "checkpoint.pth").epochs.items()
        for split, values in splits.items()
        for name, value in values.items()
        if "time" not in name
    }


def die_in_the_middle():
    save, saved = torch.save, []

    def save_or_die(*args, **kwargs):
        saved.append(args)
        if len(saved) == 4:  # the checkpoint of the second epoch is there, its own file is not
            os._exit(9)
        save(*args, **kwargs)

    torch.save = save_or_die


def test_two_processes_equal_one(kind, tmp_path):
    main, words = kind
    main(cmd=words(tmp_path / "one"))
    first, second = run_ranks(main, [words(tmp_path / "two")] * 2, tmp_path / "ranks")
    assert (first.status, second.status) == (0, 0), first.said + second.said
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert difference(one, two) < 1e-6
    assert_same(two, first.weights)
    assert_same(two, second.weights)
    ours, theirs = statistics(tmp_path / "one"), statistics(tmp_path / "two")
    assert ours == pytest.approx(theirs, rel=3e-3, nan_ok=True)
    # One of them writes.
    assert str(tmp_path / "two") in first.written
    assert str(tmp_path / "two") not in second.written


def test_half_of_the_data_is_another_training(diarized, windows, tmp_path):
    main, words = diarized
    lines = windows.read_text().splitlines(keepends=True)
    half = windows.with_name("half")
    half.write_text("".join(lines[::2]))
    for name, file in (("whole", windows), ("half", half)):
        command = words(tmp_path / name)
        command[command.index("--train_shape_file") + 1] = str(file)
        main(cmd=[*command, "--max_epoch", "1"])
    assert difference(weights(tmp_path / "whole"), weights(tmp_path / "half")) > 1e-3


def test_one_is_killed_and_all_go_on_where_it_was(distilled, tmp_path):
    main, words = distilled
    whole = run_ranks(main, [words(tmp_path / "whole")] * 2, tmp_path / "ranks")
    assert "epoch 1" in whole[0].bars and not whole[1].bars
    cut = run_ranks(main, [words(tmp_path / "cut")] * 2, tmp_path / "killed", die_in_the_middle)
    assert [each.status for each in cut] == [9, 2], cut[1].said
    assert "lost another process" in cut[1].said and "Traceback" not in cut[1].said
    resumed = run_ranks(main, [words(tmp_path / "cut")] * 2, tmp_path / "again")
    assert [each.status for each in resumed] == [0, 0]
    assert str(tmp_path / "cut") not in resumed[1].written
    assert_same(whole[1].weights, resumed[1].weights)
    for name in ("latest.pth", "valid.loss.best.pth", "valid.loss.ave.pth"):
        assert_same(weights(tmp_path / "whole", name), weights(tmp_path / "cut", name))


@pytest.mark.parametrize(
    "split, value, message",
    [("train", np.nan, "found NaN or infinity in b"), ("valid", 1e30, "expected a finite loss")],
)
def test_what_is_not_finite_in_one_ends_all(distilled, damaged, tmp_path, split, value, message):
    main, words = distilled
    command = damaged(words(tmp_path / "exp"), split, value)
    for each in run_ranks(main, [command] * 2, tmp_path / "ranks"):
        assert each.status == 2, each.said
        assert message in each.said and "Traceback" not in each.said, each.said


def test_a_folder_that_is_not_shared_is_refused(diarized, tmp_path):
    main, words = diarized
    main(cmd=[*words(tmp_path / "0"), "--max_epoch", "1"])
    commands = [words(tmp_path / name) for name in ("0", "1")]
    for each in run_ranks(main, commands, tmp_path / "ranks"):
        assert each.status == 2 and "that all machines share" in each.said


def test_espnets_launcher_starts_two_nodes(recognised, tmp_path):
    main, words = recognised
    for name, script in (("slurm.pl", SLURM), ("srun", SRUN)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    launch = [sys.executable, "-m", "espnet2.bin.launch", "--cmd", "slurm.pl", "--num_nodes", "2"]
    launch += ["--ngpu", "0", "--log", f"{tmp_path}/train.log"]
    launch += ["--init_file_prefix", f"{tmp_path}/.dist_init_", "--"]
    launch += [sys.executable, "-m", "espnet2.bin.asr_train", *words(tmp_path / "two")]
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GLOO_SOCKET_IFNAME": "lo"}
    run = subprocess.run(launch, env={**os.environ, **environment}, stderr=subprocess.PIPE)
    assert run.returncode == 0, run.stderr.decode()
    main(cmd=words(tmp_path / "one"))
    assert difference(weights(tmp_path / "one"), weights(tmp_path / "two")) < 1e-6
