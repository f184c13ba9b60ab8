"""A study as its YAML file describes it: what is trained from what, and how that is scored."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from espnet_prune.encoder.typed import ConfigError, read_typed
from espnet_prune.storage.config_files import read_yaml

_REFERENCE = re.compile(r"\{(\w+)\}")
TRAIN, MODEL = "train", "model"
"""Folders of a node: what ESPnet's training keeps, and the model that is made of it."""
INTERVAL = 100
"""Optimiser steps from one checkpoint to the next."""


@dataclass(frozen=True)
class Node:
    """One model of a study: a training, or a command that makes a model without one.

    Attributes:
        verb: the command of the package, or any module by its dotted name; ``*_train`` is followed
            by ``apply_pruning``.
        options: of it; ``{other}`` is the folder of another node of the same seed, which comes
            first, ``{epochs}`` the number of checkpoints, ``{seed}`` the seed, and ``{NAME}`` one
            of the study's values. Without a training, ``{output}`` is the folder of the model,
            which else follows as ``--output``.
        config: of a training, in the recipe.
        steps: of a training, a multiple of :data:`INTERVAL`.
        checkpoint: which one of a training counts.
        cut: further options of ``apply_pruning``.
        title: what tables call it; without one it is a step on the way to others.
        after: the nodes before it whose steps it builds on, for the sum in tables; a teacher's
            are among them where the student starts from the teacher.
    """

    verb: str
    options: str = ""
    config: str | None = None
    steps: int = 0
    checkpoint: str = "valid.loss.ave.pth"
    cut: str = ""
    title: str | None = None
    after: tuple[str, ...] = ()

    @property
    def trains(self) -> bool:
        """Whether optimiser steps are made."""
        return self.verb.endswith("_train")


@dataclass(frozen=True)
class Study:
    """What is compared. Commands run in the recipe's folder; in them, ``{python}`` is this one.

    Attributes:
        question: in a sentence.
        recipe: its folder in the repository.
        prepare: shell command that makes the data, once.
        data: options of each training verb.
        nodes: by name, each after those that it needs.
        scores: by the name of a set, the line of shell that scores ``{model}`` into ``{output}``, a
            JSON file with ``units``: ``[errors, total]`` of each recording or utterance by name.
        rate: what errors over total are called in tables.
        units: what is scored one by one, in the plural.
        reference: the node that others are compared with.
        values: other names for use in commands.
    """

    question: str
    recipe: str
    prepare: str
    data: Mapping[str, str]
    nodes: Mapping[str, Node]
    scores: Mapping[str, str]
    rate: str
    units: str
    reference: str
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Study:
        """The study of a file.

        Raises:
            ConfigError: a key, a reference or a number of steps that cannot be.
        """
        study = read_typed(cls, read_yaml(path), path)
        known = {*study.values, "epochs", "seed", "output", "python"}
        for name, node in study.nodes.items():
            if unknown := sorted(set(_REFERENCE.findall(node.options)) - known):
                raise ConfigError(
                    f"{path}: nodes: {name}: expected options with {', '.join(sorted(known))}, "
                    f"found {', '.join(unknown)}"
                )
            if node.steps % INTERVAL or {bool(node.steps), bool(node.config)} != {node.trains}:
                raise ConfigError(
                    f"{path}: nodes: {name}: expected a config and a multiple of {INTERVAL} steps "
                    f"of a training alone, found {node.steps} steps of {node.verb}"
                )
            known.add(name)
        if study.reference not in study.arms:
            raise ConfigError(
                f"{path}: expected reference to be one of {', '.join(study.arms)}, "
                f"found {study.reference!r}"
            )
        return study

    @property
    def preparation(self) -> str:
        """The line of shell that makes the data."""
        return self.prepare.format(**self.values, python=sys.executable)

    @property
    def arms(self) -> list[str]:
        """The nodes that are scored."""
        return [name for name, node in self.nodes.items() if node.title]

    def needs(self, name: str) -> set[str]:
        """The nodes whose folders node ``name`` reads."""
        return set(_REFERENCE.findall(self.nodes[name].options)) & set(self.nodes)

    def commands(self, name: str, seed: int, folder: Path) -> Iterator[list[str]]:
        """What makes node ``name`` of ``seed`` in the study's ``folder``, in order."""
        node, here = self.nodes[name], node_folder(folder, name, seed)
        epochs = node.steps // INTERVAL
        places = {other: node_folder(folder, other, seed) for other in self.needs(name)}
        values = {**self.values, **places, "epochs": epochs, "seed": seed, "output": here / MODEL}
        options = _words(node.options, **values)
        if not node.trains:
            output = [] if "{output}" in node.options else ["--output", str(here / MODEL)]
            yield [*_verb(node.verb), *options, *output]
            return
        data = _words(self.data[node.verb], **values)
        length = ["--num_iters_per_epoch", str(INTERVAL), "--max_epoch", str(epochs)]
        where = ["--output_dir", str(here / TRAIN), "--resume", "true", "--ngpu", "0"]
        fixed = ["--config", str(node.config), "--seed", str(seed), *where, *length]
        yield [*_verb(node.verb), *fixed, *data, *options]
        trained = str(here / TRAIN / node.checkpoint)
        cut = _words(node.cut, **values)
        yield [*_verb("apply_pruning"), trained, *cut, "--output", str(here / MODEL)]

    def scoring(self, name: str, seed: int, folder: Path) -> dict[str, str]:
        """The line of shell that writes ``SET.json`` into the folder of arm ``name``, by set."""
        here = node_folder(folder, name, seed)
        values = {**self.values, "python": sys.executable, "model": here / MODEL, "seed": seed}
        return {
            each: command.format(**values, output=here / f"{each}.json")
            for each, command in self.scores.items()
        }


def node_folder(folder: Path, name: str, seed: int) -> Path:
    """Where all of one node of one seed lies."""
    return folder / name / str(seed)


def _verb(name: str) -> list[str]:
    return [sys.executable, "-m", name if "." in name else f"espnet_prune.bin.{name}"]


def _words(command: str, **values: object) -> list[str]:
    return [word.format(**values, python=sys.executable) for word in shlex.split(command)]
