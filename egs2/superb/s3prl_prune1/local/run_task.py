"""Train, evaluate or score one task of SUPERB with s3prl and the upstream pruned_wavlm."""

from __future__ import annotations

import argparse
import math
import os
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from egs2.superb.s3prl_prune1.local.results import RESULT, TaskResult
from egs2.superb.s3prl_prune1.local.scores import score_task
from egs2.superb.s3prl_prune1.local.tasks import (
    Command,
    Setup,
    Task,
    choose,
    evaluation_commands,
    read_tasks,
    training_commands,
)
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import seed
from espnet_prune.data.tables import DataError
from espnet_prune.encoder import SSLEncoder
from espnet_prune.pruning import count_params
from espnet_prune.storage.files import atomic_write

_COMMAND = "s3prl.run_downstream"
_SHOWN = 20  # lines of a log that explain a failure
_DONE = "done"


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "action",
        choices=("train", "evaluate", "score", "show"),
        help="what to do; show prints the training commands",
    )
    parser.add_argument("task", help="name of the task in the table")
    parser.add_argument("--tasks", type=Path, required=True, help="YAML table of tasks")
    parser.add_argument(
        "--upstream_ckpt", required=True, help="the encoder: folder, file, URL or Hugging Face id"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="folder of the encoder's results; <task> is made"
    )
    parser.add_argument(
        "--place",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="what a name in braces of the table stands for, for each name; s3prl is the folder "
        "of its sources (default: of the installed package)",
    )
    parser.add_argument("--lr", type=float, help="learning rate (default: the table's)")
    parser.add_argument("--seed", type=seed, default=1337, help="of the training (default: 1337)")
    parser.add_argument(
        "--override",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="further override of s3prl's configuration, such as config.runner.total_steps=100",
    )
    parser.add_argument("--device", default="cuda", help="where to run (default: cuda)")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("run_task"):
        task = choose(read_tasks(args.tasks), args.task)
        setup = make_setup(args)
        if args.action == "show":
            show(task, setup)
        elif args.action == "train":
            for command in training_commands(task, setup):
                remove_damaged(command.folder)
                run(command, setup, "train.log")
        elif args.action == "evaluate":
            evaluate(task, setup)
        else:
            write_result(task, setup)


def make_setup(args: argparse.Namespace) -> Setup:
    """What the command line says of all the commands of a task.

    Raises:
        ValueError: a place is not ``name=folder``, or a number out of range.
    """
    if args.lr is not None and not 0 < args.lr < math.inf:
        raise ValueError(f"--lr: expected a rate above 0, found {args.lr}")
    if not 0 <= args.seed < 2**32:
        raise ValueError(f"--seed: expected a number from 0 to {2**32 - 1}, found {args.seed}")
    places = {"s3prl": _installed_s3prl(), "conf": str(args.tasks.resolve().parent)}
    for pair in args.place:
        name, separator, folder = pair.partition("=")
        if not separator or not folder:
            raise ValueError(f"--place: expected NAME=FOLDER, found {pair!r}")
        places[name] = str(Path(folder).resolve())
    ckpt = Path(args.upstream_ckpt)
    return Setup(
        upstream_ckpt=str(ckpt.resolve()) if ckpt.exists() else args.upstream_ckpt,
        folder=(args.output / args.task).resolve(),
        places=places,
        lr=args.lr,
        seed=args.seed,
        options=("--device", args.device),
        overrides=args.override,
    )


def show(task: Task, setup: Setup) -> None:
    """Print the commands of a task as one could type them; of many layers, the first's."""
    for command in training_commands(task, setup) or evaluation_commands(task, setup, 1):
        print(shlex.join(["python", "-m", _COMMAND, *command.arguments]))


def evaluate(task: Task, setup: Setup) -> None:
    """Run every evaluation that has not been finished yet."""
    layers = 0 if task.lr is not None else len(_encoder(setup).config.layers) + 1
    for command in evaluation_commands(task, setup, layers):
        marker = command.folder / _DONE
        if marker.is_file() and marker.read_text() == repr(command.arguments):
            continue
        run(command, setup, "evaluate.log")
        atomic_write(marker, repr(command.arguments))


def write_result(task: Task, setup: Setup) -> None:
    """Score a task and write its ``result.json``."""
    metrics, details = score_task(task, setup)
    result = TaskResult(
        task=task.name,
        upstream_ckpt=setup.upstream_ckpt,
        params=int(count_params(_encoder(setup).config).total),
        lr=None if task.lr is None else setup.lr or task.lr,
        seed=setup.seed,
        s3prl=(Path(setup.places["s3prl"]) / "version.txt").read_text().strip(),
        metrics=metrics,
        details=details,
    )
    atomic_write(setup.folder / RESULT, result.to_json())
    print(f"{task.name}: " + ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))


def remove_damaged(folder: Path) -> None:
    """Remove checkpoints that a kill has cut short; s3prl would resume from the latest, or fail."""
    for path in folder.glob("states-*.ckpt"):
        if not zipfile.is_zipfile(path):
            path.unlink()


def run(command: Command, setup: Setup, log: str) -> None:
    """Run a command of s3prl, its output in ``log`` in the folder of its results.

    Raises:
        DataError: it fails.
    """
    command.folder.mkdir(parents=True, exist_ok=True)
    path = command.folder / log
    print(f"log: {path}", flush=True)
    # s3prl's sources come before an installed package: that lacks the corpora of the ctc tasks.
    first = [str(Path(setup.places["s3prl"]).parent)] if _given(setup) else []
    search = [*first, os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, search))}
    with open(path, "a") as file:
        status = subprocess.run(
            [sys.executable, "-m", _COMMAND, *command.arguments],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if status:
        last = "\n".join(path.read_text(errors="replace").splitlines()[-_SHOWN:])
        raise DataError(f"s3prl failed with status {status}; the end of {path}:\n{last}")


def _given(setup: Setup) -> bool:
    return setup.places["s3prl"] != _installed_s3prl()


def _installed_s3prl() -> str:
    spec = find_spec("s3prl")
    if spec is None or spec.origin is None:
        raise ValueError("expected s3prl 0.4.18, found none; pip install '.[s3prl]'")
    return str(Path(spec.origin).parent)


def _encoder(setup: Setup) -> SSLEncoder:
    return SSLEncoder.from_pretrained(setup.upstream_ckpt)


if __name__ == "__main__":
    main()
