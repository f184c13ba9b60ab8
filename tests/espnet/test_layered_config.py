"""Layered configurations: what differs replaces, the rest is the base's."""

import pytest
import yaml

from espnet_prune.espnet.distillation_task import DistillationTask
from espnet_prune.ssl import ConfigError
from espnet_prune.ssl.config_files import read_yaml

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


def test_unknown_option_is_refused(write, capsys):
    top = write("top.yaml", max_epoch=3, max_epocs=4)
    with pytest.raises(SystemExit):
        DistillationTask.get_parser().parse_args(["--config", top, *REQUIRED])
    assert "max_epocs" in capsys.readouterr().err


def test_bad_bases(write):
    with pytest.raises(ConfigError, match=r"missing.yaml \(base of .*top.yaml\)"):
        read_yaml(write("top.yaml", base="missing.yaml"))
    write("a.yaml", base="b.yaml")
    with pytest.raises(ConfigError, match="leads back"):
        read_yaml(write("b.yaml", base="a.yaml"))
