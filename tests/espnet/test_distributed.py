"""Two processes train what one does, started by ESPnet's own options.

Dropout is off; each process takes every other item of a batch, the losses are averaged by the
weights of the items, and the noise of the gates comes from equal seeds. What is left is the order
of sums in float32, which SGD does not magnify.
"""

from __future__ import annotations

import multiprocessing
import os
import traceback

import pytest
import torch
from espnet2.tasks.asr import ASRTask

from espnet_prune.bin import distill_train, powerset_train
from tests.espnet.speech_corpus import training_options, write_corpus, write_tokens

SGD = [
    "--optim",
    "sgd",
    "--optim_conf",
    "lr=0.001",
    "--grad_clip",
    "inf",
    "--keep_nbest_models",
    "2",
]
PRUNING = {"target": 0.5, "warmup_steps": 4, "gate_lr": 0.1}
HEAD = "head={hidden: 8, num_layers: 1, num_heads: 2, ffn: 8, kernel: 3, dropout: 0.0}"


@pytest.fixture
def distilled(options, encoder_folder, teacher_folder):
    """A command that prunes and distils, for a folder."""
    task = ["--student", str(encoder_folder), "--teacher", str(teacher_folder)]
    task += [
        "--optim_conf",
        "lr=0.001",
        "--distill_conf",
        "layers=[0, 3]",
        "--pruning_conf",
        f"{PRUNING}",
    ]
    return lambda folder: (distill_train.main, options(folder, labels=False) + task)


@pytest.fixture
def diarized(options, encoder_folder):
    """A command that prunes by the loss of diarization, for a folder."""
    task = ["--frontend_conf", f"model={encoder_folder}", "--ssl_lr", "0.002"]
    task += ["--optim_conf", "lr=0.001"]
    task += ["--pruning_conf", f"{PRUNING}"]
    for conf in (HEAD, "max_speakers=2", "window_size=2.0"):
        task += ["--diarization_conf", conf]
    return lambda folder: (powerset_train.main, options(folder) + task)


@pytest.fixture
def recognised(tmp_path, encoder_folder):
    """ESPnet's own command that prunes by the loss of speech recognition, for a folder."""
    corpus = write_corpus(tmp_path)
    more = [*write_tokens(tmp_path, "word"), "--pruning_conf", f"{PRUNING}"]
    more += ["--optim_conf", "lr=0.0001"]  # the gradients of CTC are large

    def make(folder):
        command = [*training_options(corpus, folder, encoder_folder), *more]
        return lambda cmd: ASRTask.main(cmd=cmd), command

    return make


def rank_of(main, command, rank, errors):
    torch.set_num_threads(1)  # the pool of the parent's threads is not here
    try:
        main([*command, "--dist_rank", str(rank)])
    except BaseException:
        errors.put(traceback.format_exc())
        os._exit(1)
    os._exit(0)


def in_two_processes(main, command, folder):
    """Run ``command`` twice at once, meeting in a file; returns what went wrong."""
    command = [*command, "--dist_backend", "gloo", "--dist_world_size", "2", "--ngpu", "0"]
    command += ["--dist_init_method", f"file://{folder}/rendezvous"]
    context = multiprocessing.get_context("fork")
    errors = context.SimpleQueue()
    ranks = [
        context.Process(target=rank_of, args=(main, command, rank, errors)) for rank in range(2)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(120)
    alive = [rank for rank in ranks if rank.is_alive()]
    for rank in alive:
        rank.kill()
    return [errors.get() for rank in ranks if rank.exitcode] + [f"{rank} hung" for rank in alive]


@pytest.mark.parametrize("kind", ["distilled", "diarized", "recognised"])
def test_two_processes_give_the_weights_of_one(kind, request, tmp_path):
    make = request.getfixturevalue(kind)
    main, command = make(tmp_path / "one")
    main([*command, *SGD])
    main, command = make(tmp_path / "two")
    assert in_two_processes(main, [*command, *SGD], tmp_path) == []
    one, two = (
        torch.load(tmp_path / name / "latest.pth", weights_only=True) for name in ("one", "two")
    )
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=1e-6, msg=name)
    first = torch.load(tmp_path / "two/1epoch.pth", weights_only=True)
    moved = max(float((two[name] - first[name]).abs().max()) for name in two)
    assert moved > 1e-3  # so that to be equal says something
