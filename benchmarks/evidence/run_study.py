"""Run a study: the trainings and scores of its arms, for some seeds, several at a time; resumable.

What is finished is skipped; a training that was killed goes on from its last checkpoint, which is
100 steps back at most. RESULTS.json in the folder then has all that is finished.

Example: python -m benchmarks.evidence.run_study benchmarks/evidence/study_a.yaml --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.evidence.results import NODE, check_made, collect
from benchmarks.evidence.run_node import ROOT, call
from benchmarks.evidence.study import Study, node_folder
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import natural, positive
from espnet_prune.encoder.typed import check_name
from espnet_prune.storage.files import atomic_write


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    add = parser.add_argument
    add("study", type=Path, help="YAML file, see benchmarks/evidence/study.py")
    add("--seeds", type=natural, nargs="+", default=[0, 1, 2], help="(default: 0 1 2)")
    add("--arms", nargs="+", metavar="NODE", help="and what they need (default: all)")
    add("--jobs", type=positive, default=2, help="nodes at a time, a thread each (default: 2)")
    add("--output", type=Path, help="folder (default: exp/evidence/NAME, by the study's file)")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("run_study"):
        study = Study.read(args.study)
        folder = (args.output or ROOT / "exp" / "evidence" / args.study.stem).resolve()
        for arm in args.arms or []:
            check_name("an arm", arm, study.arms)
        nodes = needed(study, args.arms or study.arms)
        check_made(study, nodes, args.seeds, folder)
        rules = "\n".join(makefile(study, args.study.resolve(), nodes, args.seeds, folder))
        atomic_write(folder / "Makefile", rules)
        if not (folder / "prepared").exists():
            call(study.preparation, study, folder / "prepare.log")
            (folder / "prepared").touch()
        # One thread each: two trainings side by side waste none on waiting for each other.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        make = ["make", "--keep-going", f"--jobs={args.jobs}", "--directory", str(folder)]
        failed = subprocess.run(make, env=environment).returncode
        atomic_write(folder / "RESULTS.json", collect(study, folder))
        if failed:
            raise ValueError(f"a node has failed, see above; the others are in {folder}")
        print(folder / "RESULTS.json")


def needed(study: Study, arms: Iterable[str]) -> list[str]:
    """The ``arms`` and all that they are made of, in the order of the study."""
    found: set[str] = set()
    rest = list(arms)
    while rest:
        name = rest.pop()
        found.add(name)
        rest += study.needs(name) - found
    return [name for name in study.nodes if name in found]


def makefile(
    study: Study, file: Path, nodes: Sequence[str], seeds: Sequence[int], folder: Path
) -> Iterator[str]:
    """The rules of it all for make: node by node, each for every seed."""
    targets = {(name, seed): node_folder(folder, name, seed) / NODE
               for name in nodes for seed in seeds}  # fmt: skip
    yield f"all: {' '.join(map(str, targets.values()))}"
    for (name, seed), target in targets.items():
        before = " ".join(str(targets[other, seed]) for other in sorted(study.needs(name)))
        command = [sys.executable, "-m", "benchmarks.evidence.run_node", str(file), name,
                   "--seed", str(seed), "--output", str(folder)]  # fmt: skip
        yield f"{target}: | {before}\n\t@echo {name}, seed {seed}\n\t@{shlex.join(command)}"


if __name__ == "__main__":
    main()
