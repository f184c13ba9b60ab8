"""ESPnet3 asks a task for its defaults before anything is given."""

from __future__ import annotations

import sys

import pytest

from espnet_prune.encoder import ConfigError
from espnet_prune.espnet.distillation_task import DistillationTask
from espnet_prune.espnet.embedding_task import EmbeddingTask
from espnet_prune.espnet.powerset_task import PowersetDiarizationTask
from espnet_prune.espnet.pruned_tasks import PrunedASRTask, PrunedDiarizationTask, PrunedSLUTask

OWN = [DistillationTask, EmbeddingTask, PowersetDiarizationTask]


@pytest.mark.parametrize("task", [*OWN, PrunedASRTask, PrunedDiarizationTask, PrunedSLUTask])
def test_a_task_tells_its_defaults(task, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train"])
    config = task.get_default_config()
    assert config["optim"] == "adadelta" and "required" not in config
    assert task is EmbeddingTask or config["pruning_conf"] == {}


@pytest.mark.parametrize(
    "task, missing",
    [(DistillationTask, "--student, --teacher"), (EmbeddingTask, "--model, --speakers")],
)
def test_what_must_be_given_is_named(task, missing, tmp_path):
    with pytest.raises(ConfigError, match=f"expected {missing}, found none"):
        task.main(cmd=["--output_dir", str(tmp_path)])
