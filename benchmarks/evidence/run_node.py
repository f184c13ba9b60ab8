"""Make one node of a study, or go on with it, and score it; run_study calls this."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.evidence.results import NODE, Made, cost_of, described
from benchmarks.evidence.study import MODEL, TRAIN, Study, node_folder
from benchmarks.results import processor
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import natural
from espnet_prune.environment import this_environment
from espnet_prune.report.history import read_history
from espnet_prune.storage.files import atomic_write

ROOT = Path(__file__).parents[2]


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("study", type=Path, help="YAML file, see benchmarks/evidence/study.py")
    add("node", help="of it")
    add("--seed", type=natural, required=True)
    add("--output", type=Path, required=True, help="folder of the study")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("run_node"):
        study = Study.read(args.study)
        folder = args.output.resolve()
        here = node_folder(folder, args.node, args.seed)
        here.mkdir(parents=True, exist_ok=True)
        lines = [shlex.join(each) for each in study.commands(args.node, args.seed, folder)]
        if args.node in study.arms:
            lines += study.scoring(args.node, args.seed, folder).values()
        for line in lines:
            call(line, study, here / "log.txt")
        checkpoint = here / TRAIN / "checkpoint.pth"
        training = read_history(checkpoint) if checkpoint.exists() else None
        environment = this_environment()
        made = Made(
            commands=described(study, args.node, args.seed, folder),
            steps=training.steps if training else 0,
            seconds=training.seconds if training else 0.0,
            **cost_of(here / MODEL),
            commit=environment.git_commit,
            date=environment.date,
            torch=environment.torch,
            espnet=environment.espnet,
            processor=processor(),
        )
        # The last file of all: where it is, the node is finished.
        atomic_write(here / NODE, json.dumps(vars(made), indent=2))


def call(line: str, study: Study, log: Path) -> None:
    """Run a line of shell in the study's recipe; what it prints goes to ``log``.

    Raises:
        ValueError: it fails.
    """
    with log.open("a", encoding="utf-8") as file:
        file.write(f"# {line}\n")
        file.flush()
        done = subprocess.run(
            ["bash", "-c", f". ./path.sh && {line}"],
            cwd=ROOT / study.recipe,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    if done.returncode:
        raise ValueError(f"{line}: ended with {done.returncode}; see the end of {log}")


if __name__ == "__main__":
    main()
