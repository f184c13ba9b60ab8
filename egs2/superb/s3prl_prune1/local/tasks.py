"""The tasks of SUPERB (Yang et al., 2021): s3prl's commands, made from a table of tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from espnet_prune.encoder.typed import ConfigError, read_typed
from espnet_prune.storage.config_files import read_yaml

SCORES = (
    "accuracy",
    "phonemes",
    "words",
    "slots",
    "equal_error_rate",
    "diarization_error_rate",
    "term_weighted_value",
)


@dataclass(frozen=True)
class Task:
    """One task; a table of tasks has these as keys.

    Attributes:
        name: as in the table.
        title: what is recognized.
        downstream: folder of the task below s3prl's ``downstream``.
        config: s3prl's configuration; this and the overrides may hold names in braces.
        lr: learning rate to start from, None where nothing is trained.
        overrides: by the path of keys in the configuration.
        score: how s3prl's result files become metrics, one of ``SCORES``.
        metrics: names of the metrics, in the order of the score.
        checkpoint: pattern of what is tested, the best of them where it matches several.
        split: s3prl's name of the test set.
        folds: of cross validation, to be averaged.
        needs: modules to install beyond s3prl, or ``libsox`` or ``cuda``.

    Raises:
        ConfigError: an unknown score, no metric, or fewer than one fold.
    """

    name: str
    title: str
    downstream: str
    config: str
    lr: float | None
    overrides: Mapping[str, Any]
    score: str
    metrics: Sequence[str]
    checkpoint: str = "dev-best.ckpt"
    split: str = "test"
    folds: int = 1
    needs: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise ConfigError(
                f"{self.name}: expected a score of {', '.join(SCORES)}, found {self.score!r}"
            )
        if not self.metrics:
            raise ConfigError(f"{self.name}: expected metrics, found none; name at least one")
        if self.folds < 1:
            raise ConfigError(f"{self.name}: expected 1 fold or more, found {self.folds}")


@dataclass(frozen=True)
class Setup:
    """What all the commands of a task have in common.

    Attributes:
        upstream_ckpt: the encoder, anything that ``-k`` of ``pruned_wavlm`` takes.
        folder: where the task's files go.
        places: what the names in braces stand for, ``s3prl`` and the corpora.
        lr: learning rate instead of the table's.
        seed: of every training.
        options: further options of ``run_downstream``.
        overrides: further overrides, as ``run_downstream -o`` takes them.
    """

    upstream_ckpt: str
    folder: Path
    places: Mapping[str, str]
    lr: float | None = None
    seed: int = 1337
    options: Sequence[str] = ()
    overrides: Sequence[str] = field(default=())


class Command(NamedTuple):
    """One call of ``s3prl.run_downstream``: the folder of its results, and its arguments."""

    folder: Path
    arguments: list[str]


def read_tasks(path: str | Path) -> dict[str, Task]:
    """Read a table of tasks.

    Raises:
        ConfigError: a task lacks a key, or has one that is unknown or of another type.
    """
    return {
        name: read_typed(
            Task,
            {"name": name, **values} if isinstance(values, Mapping) else values,
            f"{path}: task {name}",
        )
        for name, values in read_yaml(path).items()
    }


def choose(tasks: Mapping[str, Task], name: str) -> Task:
    """The task of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in tasks:
        raise ValueError(f"expected a task of {', '.join(tasks)}, found {name!r}")
    return tasks[name]


def fill(value: Any, names: Mapping[str, Any]) -> Any:
    """Put places for the names in braces, in every text of a value.

    Raises:
        ValueError: a name has no place.
    """
    if isinstance(value, str):
        try:
            return value.format_map(names)
        except KeyError as error:
            raise ValueError(
                f"expected a folder for {error.args[0]}, found none; pass "
                f"--place {error.args[0]}=FOLDER"
            ) from None
    if isinstance(value, list):
        return [fill(item, names) for item in value]
    return value


def resolved(task: Task, setup: Setup, fold: int = 1) -> dict[str, Any]:
    """The task's overrides with all names replaced, by the path of keys in the configuration."""
    names = {**setup.places, "fold": fold}
    return {key: fill(value, names) for key, value in task.overrides.items()}


def fold_folders(task: Task, setup: Setup) -> list[Path]:
    """Where the folds are trained; the task's own folder if there is one fold."""
    if task.folds == 1:
        return [setup.folder]
    return [setup.folder / f"fold{fold}" for fold in range(1, task.folds + 1)]


def training_commands(task: Task, setup: Setup) -> list[Command]:
    """A command per fold, to be repeated after a kill; none where nothing is trained."""
    if task.lr is None:
        return []
    commands = []
    for fold, folder in enumerate(fold_folders(task, setup), start=1):
        values = {**resolved(task, setup, fold), "optimizer.lr": setup.lr or task.lr}
        arguments = ["-m", "train", *_new(task, setup, folder), "-a"]
        commands.append(Command(folder, [*arguments, *_overrides(setup, values)]))
    return commands


def evaluation_commands(task: Task, setup: Setup, num_layers: int) -> list[Command]:
    """A command per checkpoint to test, or per layer and set where nothing is trained.

    Args:
        task: what to evaluate.
        setup: the one it was trained with.
        num_layers: of the upstream, the states before the first one included.

    Raises:
        ValueError: the training has left no checkpoint to test.
    """
    if task.lr is None:
        return [
            _evaluate_layer(task, setup, layer, split)
            for layer in range(num_layers)
            for split in ("dev", task.split)
        ]
    commands = []
    for fold, folder in enumerate(fold_folders(task, setup), start=1):
        checkpoints = sorted(folder.glob(task.checkpoint))
        if not checkpoints:
            raise ValueError(
                f"expected {task.checkpoint} in {folder}, found none; train {task.name} first, for "
                "as many steps as its configuration evaluates after (runner.eval_step) or more"
            )
        values = resolved(task, setup, fold)
        for checkpoint in checkpoints:
            results = folder / "evaluate" / checkpoint.stem
            arguments = ["-m", "evaluate", "-e", str(checkpoint), "-t", task.split]
            # The checkpoint remembers folders that may have been moved since.
            now = {"expdir": str(results), "upstream_ckpt": setup.upstream_ckpt}
            moved = (f"args.{key}={value!r}" for key, value in now.items())
            overrides = _overrides(setup, values, *moved)
            commands.append(Command(results, [*arguments, *setup.options, *overrides]))
    return commands


def _evaluate_layer(task: Task, setup: Setup, layer: int, split: str) -> Command:
    folder = setup.folder / "evaluate" / f"layer{layer}" / split
    arguments = ["-m", "evaluate", *_new(task, setup, folder), "-l", str(layer), "-t", split]
    return Command(folder, [*arguments, *_overrides(setup, resolved(task, setup))])


def _new(task: Task, setup: Setup, folder: Path) -> list[str]:
    """The options of a run that no checkpoint of s3prl describes."""
    return [
        *("-u", "pruned_wavlm", "-k", setup.upstream_ckpt, "-d", task.downstream),
        *("-c", fill(task.config, setup.places), "-p", str(folder), "--seed", str(setup.seed)),
        *setup.options,
    ]


def _overrides(setup: Setup, values: Mapping[str, Any], *more: str) -> list[str]:
    """``-o`` in s3prl's notation: Python literals, separated by two commas."""
    pairs = [f"config.{key}={value!r}" for key, value in values.items()]
    pairs += [*more, *setup.overrides]
    for pair in pairs:
        if pair.count("=") != 1 or ",," in pair:
            raise ValueError(
                f"expected 'key=value' with one '=' and no ',,' (s3prl cannot read another), found "
                f"{pair!r}; rename the folder, or reach it by a link"
            )
    return ["-o", ",,".join(pairs)]
