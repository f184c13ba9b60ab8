"""Commands are those that s3prl's own parser understands, with nothing left to fill in."""

from __future__ import annotations

from argparse import Namespace

import pytest

from egs2.superb.s3prl_prune1.local.scores import SCORERS
from egs2.superb.s3prl_prune1.local.tasks import (
    SCORES,
    choose,
    evaluation_commands,
    fill,
    read_tasks,
    training_commands,
)
from tests.egs2.superb_files import setup, task, write


def option(arguments, name):
    return arguments[arguments.index(name) + 1]


def overridden(arguments):
    """The arguments and the configuration after s3prl's own reading of ``-o``."""
    helper = pytest.importorskip("s3prl.utility.helper")
    args, config = Namespace(), {}
    helper.override(option(arguments, "-o"), args, config)
    return vars(args), config


def test_every_score_of_a_table_has_a_function():
    assert tuple(SCORERS) == SCORES


def test_training(tmp_path):
    (command,) = training_commands(task(), setup(tmp_path / "ic", options=("--device", "cpu")))
    arguments = command.arguments
    assert command.folder == tmp_path / "ic"
    assert option(arguments, "-m") == "train" and "-a" in arguments
    assert option(arguments, "-u") == "pruned_wavlm" and option(arguments, "-k") == "pruned"
    assert option(arguments, "-c") == "/s3prl/downstream/fluent_commands/config.yaml"
    assert option(arguments, "--device") == "cpu" and option(arguments, "--seed") == "1337"
    _, config = overridden(arguments)
    assert config == {
        "downstream_expert": {"datarc": {"file_path": "/fluent"}},
        "optimizer": {"lr": 1e-4},
    }


def test_the_learning_rate_and_further_overrides_come_last(tmp_path):
    chosen = setup(tmp_path, lr=0.02, overrides=["config.optimizer.lr=0.5"])
    (command,) = training_commands(task(), setup(tmp_path, lr=0.02))
    assert overridden(command.arguments)[1]["optimizer"] == {"lr": 0.02}
    (command,) = training_commands(task(), chosen)
    assert overridden(command.arguments)[1]["optimizer"] == {"lr": 0.5}


def test_lists_stay_lists(tmp_path):
    lexicon = {"corpus.lexicon": ["{s3prl}/one.txt", "{s3prl}/two.txt"]}
    (command,) = training_commands(task(overrides=lexicon), setup(tmp_path))
    corpus = overridden(command.arguments)[1]["corpus"]
    assert corpus == {"lexicon": ["/s3prl/one.txt", "/s3prl/two.txt"]}


def test_five_folds(tmp_path):
    emotion = task(overrides={"datarc.test_fold": "fold{fold}"}, folds=5)
    commands = training_commands(emotion, setup(tmp_path))
    folds = [overridden(c.arguments)[1]["datarc"]["test_fold"] for c in commands]
    assert folds == [command.folder.name for command in commands]
    assert folds == ["fold1", "fold2", "fold3", "fold4", "fold5"]
    for command in commands:
        write(command.folder / "dev-best.ckpt", [])
    tested = evaluation_commands(emotion, setup(tmp_path), 0)
    assert [c.folder for c in tested] == [c.folder / "evaluate/dev-best" for c in commands]


def test_a_checkpoint_is_evaluated_where_everything_is_now(tmp_path):
    checkpoint = write(tmp_path / "dev-best.ckpt", [])
    (command,) = evaluation_commands(task(split="test-clean"), setup(tmp_path), 0)
    assert option(command.arguments, "-e") == str(checkpoint)
    assert option(command.arguments, "-t") == "test-clean"
    args, config = overridden(command.arguments)
    assert args == {"expdir": str(command.folder), "upstream_ckpt": "pruned"}
    assert config["downstream_expert"]["datarc"]["file_path"] == "/fluent"


def test_superb_tests_speaker_verification_every_20000_steps(tmp_path):
    for steps in range(10000, 200001, 10000):
        write(tmp_path / f"states-{steps}.ckpt", [])
    verification = task(checkpoint="states-*[02468]0000.ckpt")
    commands = evaluation_commands(verification, setup(tmp_path), 0)
    found = {int(command.folder.name.removeprefix("states-")) for command in commands}
    assert found == set(range(20000, 200001, 20000))


def test_every_layer_where_nothing_is_trained(tmp_path):
    query = task(lr=None)
    assert training_commands(query, setup(tmp_path)) == []
    commands = evaluation_commands(query, setup(tmp_path), 13)
    assert len({command.folder for command in commands}) == len(commands) == 26
    layers = [(option(c.arguments, "-l"), option(c.arguments, "-t")) for c in commands]
    assert layers == [(str(layer), split) for layer in range(13) for split in ("dev", "test")]
    assert "optimizer" not in overridden(commands[0].arguments)[1]


def test_nothing_to_evaluate(tmp_path):
    with pytest.raises(ValueError, match=r"expected dev-best.ckpt in .*found none; train ic first"):
        evaluation_commands(task(), setup(tmp_path), 0)


def test_what_s3prl_cannot_read_is_refused(tmp_path):
    with pytest.raises(ValueError, match="one '='.*'/a=b'"):
        training_commands(task(), setup(tmp_path, places={"s3prl": "", "fluent": "/a=b"}))


def test_a_corpus_without_a_place():
    with pytest.raises(ValueError, match="expected a folder for fluent, found none; pass --place"):
        fill("{fluent}", {"s3prl": "/s3prl"})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"score": "bleu"}, "ic: expected a score of accuracy, .*found 'bleu'"),
        ({"metrics": []}, "ic: expected metrics, found none"),
        ({"folds": 0}, "ic: expected 1 fold or more, found 0"),
    ],
)
def test_a_wrong_task(changes, message):
    with pytest.raises(ValueError, match=message):
        task(**changes)


def test_a_wrong_key_and_a_wrong_name(tmp_path):
    path = write(tmp_path / "tasks.yaml", ["ic: {title: intents, rate: 0.1}"])
    with pytest.raises(ValueError, match=r"tasks.yaml: task ic: .*unknown key rate"):
        read_tasks(path)
    with pytest.raises(ValueError, match="task ic: .*expected values by name"):
        read_tasks(write(path, ["ic:"]))
    with pytest.raises(ValueError, match="expected a task of ic, found 'st'"):
        choose({"ic": task()}, "st")
