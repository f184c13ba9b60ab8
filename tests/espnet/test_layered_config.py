"""Layered configurations: what differs replaces, the rest is the base's."""

from pathlib import Path

import pytest
import yaml

from espnet_prune.encoder import ConfigError
from espnet_prune.espnet.distillation_task import DistillationTask
from espnet_prune.storage.config_files import read_yaml

REQUIRED = ["--student", "s", "--teacher", "t", "--output_dir", "exp"]


@pytest.fixture
def write(tmp_path):
    def write(name, **values):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(values))
        return str(path)

    return write


def test_layers(write):
    write("base.yaml", max_epoch=3, pruning_conf={"target": 0.5, "units": ["conv"]}, lists=[1, 2])
    write("middle.yaml", base="base.yaml", pruning_conf={"target": {"front_end": 0.5}})
    top = write("tuning/top.yaml", base="../middle.yaml", lists=[3], pruning_conf={"gate": "x"})
    assert read_yaml(top) == {
        "max_epoch": 3,
        "pruning_conf": {"target": {"front_end": 0.5}, "units": ["conv"], "gate": "x"},
        "lists": [3],
    }


def test_command_line_over_file_over_base(write):
    write("base.yaml", max_epoch=3, patience=2, pruning_conf={"target": 0.5, "warmup_steps": 7})
    top = write("top.yaml", base="base.yaml", patience=4, pruning_conf={"target": 0.8})
    parser = DistillationTask.get_parser()
    args = parser.parse_args(["--config", top, "--pruning_conf", "gate_lr=0.1", *REQUIRED])
    assert (args.max_epoch, args.patience) == (3, 4)
    assert args.pruning_conf == {"target": 0.8, "warmup_steps": 7, "gate_lr": 0.1}
    assert not hasattr(args, "base")
    args = parser.parse_args(["--config", top, "--max_epoch", "9", *REQUIRED])
    assert args.max_epoch == 9


def parsed(*words):
    return DistillationTask.get_parser().parse_args([*words, *REQUIRED])


@pytest.mark.parametrize(
    "values, message",
    [
        ({"max_epocs": 4}, "unknown option max_epocs .did you mean 'max_epoch'"),
        ({"batch_size": 2.5}, "batch_size: expected a whole number, found 2.5"),
        ({"batch_size": None}, "batch_size: expected a whole number, found None"),
        ({"batch_size": [3]}, "batch_size: expected a whole number"),
        ({"max_epoch": True}, "max_epoch: expected a whole number, found True"),
        ({"grad_clip": "much"}, "grad_clip: expected a number, found 'much'"),
        ({"grad_clip": float("nan")}, "grad_clip: expected a number, found nan"),
        ({"resume": "perhaps"}, "resume: expected true or false, found 'perhaps'"),
        ({"resume": 7}, "resume: expected true or false, found 7"),
        ({"optim": "adamm"}, "optim: expected one of adam, adamw"),
        ({"optim": []}, "optim: expected one of adam, adamw"),
        ({"best_model_criterion": None}, "best_model_criterion: expected a list, found None"),
        ({"batch_type": "heap"}, "batch_type: expected one of unsorted"),
        ({"init_param": "a.pth"}, "init_param: expected a list"),
        ({"optim_conf": 3}, "optim_conf: expected values by name"),
    ],
)
def test_files_are_read_by_type(write, values, message):
    path = write("top.yaml", **values)
    with pytest.raises(ConfigError, match=f"^{path}: {message}"):
        parsed("--config", path)


def test_what_espnets_own_files_say_stays(write):
    values = {
        "grad_clip": 3,
        "patience": None,
        "keep_nbest_models": 5,
        "best_model_criterion": [["valid", "loss", "min"]],
    }
    args = parsed("--config", write("top.yaml", **values))
    assert {key: getattr(args, key) for key in values} == values
    path = Path(write("text.yaml"))
    path.write_text("optim_conf: {lr: 1e-3}\ngrad_clip: 1e2\n")
    args = parsed("--config", str(path))
    assert args.optim_conf == {"lr": 0.001} and args.grad_clip == 100.0


def test_mappings_on_the_command_line():
    words = ["a=1e-3", "b.c=[1, x]", "b.d=", "{'e': None, 'f': True}", "{g: 2}", "b.c={h: 1}"]
    args = parsed(*(w for word in words for w in ("--pruning_conf", word)))
    inner = {"c": {"h": 1}, "d": ""}
    assert args.pruning_conf == {"a": 0.001, "b": inner, "e": None, "f": True, "g": 2}


@pytest.mark.parametrize("words", [["--pruning_conf", "a=["], ["--pruning_conf", "a"],
                                   ["--max_epoch", "x"], ["--nothing", "1"]])  # fmt: skip
def test_wrong_words_end_in_one_line(words, capsys):
    with pytest.raises(SystemExit) as exit_info:
        parsed(*words)
    assert exit_info.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_bad_bases(write):
    with pytest.raises(ConfigError, match=r"missing.yaml: expected .* \(base of .*top.yaml\)"):
        read_yaml(write("top.yaml", base="missing.yaml"))
    write("a.yaml", base="b.yaml")
    with pytest.raises(ConfigError, match="leads back"):
        read_yaml(write("b.yaml", base="a.yaml"))
