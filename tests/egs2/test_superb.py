"""SUPERB's recipe: ten tasks that s3prl understands, and two that run here."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from egs2.superb.s3prl_prune1.local.results import read_published
from egs2.superb.s3prl_prune1.local.tasks import read_tasks, resolved, training_commands
from tests.egs2.superb_files import setup
from tests.egs2.superb_trees import CORPORA, RECIPE

TASKS = read_tasks(RECIPE / "conf/tasks.yaml")
MINI = read_tasks(RECIPE / "conf/mini.yaml")
# The folder s3prl of its sources, as run.sh --stage 1 fetches them; its packages lack most of it.
SOURCES = Path(os.environ.get("S3PRL_SOURCES", RECIPE / "downloads/s3prl/s3prl"))


def places(sources: Path = SOURCES) -> dict[str, str]:
    """A folder for every name in braces."""
    return {
        **{name: f"/corpora/{name}" for name in CORPORA},
        "s3prl": str(sources),
        "conf": str(RECIPE / "conf"),
    }


def config_value(config, key):
    for part in key.split("."):
        config = config[part]
    return config


def test_the_tasks_are_superbs_ten_and_their_metrics_those_of_the_published_table():
    assert sorted(TASKS) == ["asr", "asv", "er", "ic", "ks", "pr", "qbe", "sd", "sf", "sid"]
    metrics = [metric for task in TASKS.values() for metric in task.metrics]
    published = read_published(RECIPE / "conf/published.yaml")
    assert sorted(metrics) == sorted(set(published.columns) - {"params"})


def test_nothing_but_paths_the_fold_and_the_learning_rate_is_chosen(tmp_path):
    for task in TASKS.values():
        values = resolved(task, setup(tmp_path, places=places(Path("/sources"))))
        values.pop("downstream_expert.datarc.test_fold", None)
        for value in values.values():
            for path in value if isinstance(value, list) else [value]:
                assert path.startswith(("/corpora/", "/sources/")), f"{task.name}: {path}"


@pytest.mark.skipif(not find_spec("s3prl"), reason="needs s3prl")
@pytest.mark.parametrize("name", sorted(set(TASKS) - {"pr", "sf"}))
def test_s3prls_experts_read_every_overridden_key(name):
    # The corpora of the ctc tasks are not in s3prl's package.
    folder = Path(find_spec("s3prl").origin).parent / "downstream" / TASKS[name].downstream
    code = "".join(path.read_text() for path in folder.glob("*.py"))
    for key in TASKS[name].overrides:
        last = key.rpartition(".")[2]
        # diarization's are mode + "_dir"
        assert last in code or (last.endswith("_dir") and "_dir" in code), key


@pytest.mark.skipif(not SOURCES.is_dir(), reason="needs s3prl's sources, see S3PRL_SOURCES")
@pytest.mark.parametrize("name", sorted(TASKS))
def test_s3prls_own_configuration_has_every_overridden_key(name, tmp_path, parsed):
    task = TASKS[name]
    here = setup(tmp_path, places=places())
    for key, value in resolved(task, here).items():
        config = yaml.safe_load(Path(task.config.format(**places())).read_text())
        assert type(config_value(config, key)) is type(value), key
        for path in value if isinstance(value, list) else [value]:
            assert path.startswith("/corpora/") or Path(path).exists() or "fold" in path, path
    if task.lr is not None:
        (command, *_) = training_commands(task, here)
        _, config = parsed(command)
        assert config["optimizer"]["lr"] == task.lr
        assert config["runner"]["total_steps"] >= 30000


@pytest.mark.parametrize("name", sorted(MINI))
def test_the_small_configurations_are_complete(name, tmp_path, parsed):
    task = MINI[name]
    (command,) = training_commands(task, setup(tmp_path, places=places()))
    args, config = parsed(command)
    assert args["upstream"] == "pruned_wavlm" and args["downstream"] == task.downstream
    runner = config["runner"]
    assert (
        runner["total_steps"] % runner["eval_step"]
        == runner["eval_step"] % runner["save_step"]
        == 0
    )
    assert config["optimizer"]["lr"] == task.lr
    for key, value in resolved(task, setup(tmp_path, places=places())).items():
        assert config_value(config, key) == value


@pytest.fixture
def parsed(tmp_path, monkeypatch):
    """What s3prl's own parser makes of a command: arguments and configuration."""
    pytest.importorskip("s3prl")
    import s3prl_plugin  # noqa: F401, before s3prl, which cannot be imported beside newer libraries

    run_downstream = importlib.import_module("s3prl.run_downstream")
    monkeypatch.chdir(tmp_path)

    def parse(command):
        monkeypatch.setattr(sys, "argv", ["run_downstream", *command.arguments])
        args, config, _ = run_downstream.get_downstream_args()
        return vars(args), config

    return parse
