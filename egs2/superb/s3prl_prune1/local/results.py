"""SUPERB's results of several encoders in one table, beside published ones."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from espnet_prune.data.tables import DataError
from espnet_prune.encoder.typed import read_typed
from espnet_prune.environment import this_environment
from espnet_prune.report.table import Table
from espnet_prune.storage.config_files import read_json, read_yaml

RESULT = "result.json"
PARAMS = "params"
_PLAIN = "MTWV"  # the only metric that nobody writes in percent


@dataclass(frozen=True)
class TaskResult:
    """What a task's ``result.json`` holds.

    Attributes:
        task: name of the task.
        upstream_ckpt: the encoder, as it was given.
        params: parameters of the encoder.
        lr: learning rate, None where nothing is trained.
        seed: of the training.
        s3prl: its version.
        metrics: by name, fractions but for MTWV; None where there is none, as of no speech.
        details: how the metrics came about.
    """

    task: str
    upstream_ckpt: str
    params: int
    lr: float | None
    seed: int
    s3prl: str
    metrics: dict[str, float | None]
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The content of ``result.json``, which has no NaN."""
        metrics = {name: None if value != value else value for name, value in self.metrics.items()}
        return json.dumps(asdict(replace(self, metrics=metrics)), indent=2) + "\n"


class Model(NamedTuple):
    """A row of the table.

    Attributes:
        name: of the encoder.
        values: by column, millions of parameters and metrics in percent (MTWV as it is).
        published: whether somebody else measured them.
    """

    name: str
    values: dict[str, float]
    published: bool


class Published(NamedTuple):
    """A published table: where it is from, in words, its columns and its rows."""

    source: str
    columns: list[str]
    models: list[Model]


@dataclass(frozen=True)
class _Table:
    """A published table as its file has it."""

    source: str
    columns: tuple[str, ...]
    models: Mapping[str, tuple[int | float | None, ...]]


def read_published(path: str | Path) -> Published:
    """Read a published table.

    Raises:
        ConfigError: the file is none, or has values of another type.
        DataError: a row has another number of values than there are columns.
    """
    table = read_typed(_Table, read_yaml(path), path)
    columns = list(table.columns)
    for name, values in table.models.items():
        if len(values) != len(columns):
            raise DataError(f"{path}: {name}: expected {len(columns)} values, found {len(values)}")
    models = [
        Model(name, dict(zip(columns, values, strict=True)), True)
        for name, values in table.models.items()
    ]
    return Published(table.source, columns, models)


def read_results(folder: str | Path) -> list[TaskResult]:
    """Read the results of every task below the folder of an encoder.

    Raises:
        ConfigError: one is damaged.
        DataError: there are none, or they are of encoders of several sizes.
    """
    paths = sorted(Path(folder).glob(f"*/{RESULT}"))
    results = [read_typed(TaskResult, read_json(path), path) for path in paths]
    sizes = {result.params for result in results}
    if len(sizes) != 1:
        raise DataError(
            f"{folder}: expected results of one encoder, found {len(results)} of {len(sizes)}; "
            "score a task first, and give every encoder a folder of its own"
        )
    return results


def measured(folder: str | Path) -> Model:
    """The row of an encoder, named after its folder."""
    results = read_results(folder)
    values = {PARAMS: results[0].params / 1e6}
    for result in results:
        for name, value in result.metrics.items():
            number = math.nan if value is None else value
            values[name] = number if name == _PLAIN else 100 * number
    return Model(Path(folder).name, values, False)


def superb_table(models: Sequence[Model], columns: Sequence[str]) -> str:
    """A Markdown table, a row per model, without the columns that nobody fills."""
    filled = [column for column in columns if any(column in model.values for model in models)]
    header = ["model", "", *("params (M)" if name == PARAMS else name for name in filled)]
    rows = [
        [model.name, "published" if model.published else "measured"]
        + [_cell(column, model.values) for column in filled]
        for model in models
    ]
    return Table(header, rows, words=2).markdown()


def render(folders: Sequence[Path], published: Published | None = None) -> str:
    """The whole RESULTS.md: the table, then how each number of ours was reached.

    Args:
        folders: of the encoders, one with results each.
        published: what to show above ours; our metrics that it lacks are further columns.
    """
    source, columns, theirs = published or Published("", [PARAMS], [])
    ours = [measured(folder) for folder in folders]
    found = (name for model in ours for name in model.values)
    lines = [
        "# RESULTS",
        "",
        this_environment().markdown(),
        "",
        superb_table([*theirs, *ours], list(dict.fromkeys([*columns, *found]))),
        "",
        "Parameters in millions, MTWV as it is, everything else in percent.",
    ]
    if theirs:
        lines.append(f"Published: {source}.")
    header = ("model", "task", "learning rate", "seed", "s3prl", "chosen")
    rows = [
        [Path(folder).name, *_origin(result)]
        for folder in folders
        for result in read_results(folder)
    ]
    return "\n".join([*lines, "", Table(header, rows, words=len(header)).markdown(), ""])


def to_json(folders: Sequence[Path]) -> str:
    """The content of results.json: all results by encoder and task."""
    models = {
        Path(folder).name: {result.task: asdict(result) for result in read_results(folder)}
        for folder in folders
    }
    return json.dumps({"environment": asdict(this_environment()), "models": models}, indent=2)


def _origin(result: TaskResult) -> list[str]:
    """What a reader needs to judge a result; which checkpoint, layer or threshold was chosen."""
    chosen = [f"{key}: {value}" for key, value in result.details.items() if "chosen" in key]
    rate = "-" if result.lr is None else f"{result.lr:g}"
    return [result.task, rate, str(result.seed), result.s3prl, ", ".join(chosen)]


def _cell(column: str, values: Mapping[str, float]) -> str:
    if column not in values:
        return ""
    return f"{values[column]:.{4 if column == _PLAIN else 2}f}"
