#!/usr/bin/env python3
"""Check that a task of SUPERB has its software and all of its data, and count them."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from corpora import CORPORA

from egs2.superb.s3prl_prune1.local.run_task import make_setup
from egs2.superb.s3prl_prune1.local.tasks import Task, choose, fill, read_tasks, resolved
from espnet_prune.bin.errors import explained
from espnet_prune.data.tables import DataError

_PACKAGES = {"dtw": "dtw-python", "sklearn": "scikit-learn"}  # where the names differ


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", help="name of the task in the table")
    parser.add_argument("--tasks", type=Path, required=True, help="YAML table of tasks")
    parser.add_argument(
        "--place",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="where s3prl's sources and each corpus are, once per name in braces of the table",
    )
    parser.add_argument("--device", default="cuda", help="where the task will run (default: cuda)")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    args.upstream_ckpt, args.output, args.lr, args.seed, args.override = "", Path(), None, 0, []
    with explained("check_data"):
        task = choose(read_tasks(args.tasks), args.task)
        setup = make_setup(args)
        config = Path(fill(task.config, setup.places))
        if not config.is_file():
            raise DataError(
                f"expected {config}, found none; s3prl's package has no configurations, pass the "
                "folder of its sources with --place s3prl=.../s3prl (run.sh --stage 1 gets them)"
            )
        check_software(task, args.device)
        check_corpora(resolved(task, setup), setup.places, task)


def check_software(task: Task, device: str) -> None:
    """Check what a task needs beyond s3prl.

    Raises:
        DataError: with everything that is missing.
    """
    missing = []
    for need in task.needs:
        if need == "libsox":
            missing += _libsox()
        elif need == "cuda":
            if not torch.cuda.is_available() or not device.startswith("cuda"):
                missing.append(f"{task.name}: s3prl moves tensors to a GPU here; run it on one")
        elif importlib.util.find_spec(need) is None:
            missing.append(
                f"{task.name}: expected the module {need}, found none; "
                f"pip install {_PACKAGES.get(need, need)}"
            )
    if missing:
        raise DataError(*missing)


def check_corpora(overrides: dict[str, Any], places: dict[str, str], task: Task) -> None:
    """Check every corpus that a task's overrides name, and print what there is.

    Raises:
        DataError: with everything that is missing.
    """
    named = str(dict(task.overrides))
    for corpus, check in CORPORA.items():
        if f"{{{corpus}}}" in named:
            try:
                counts = check(Path(places[corpus]), overrides)
            except (LookupError, TypeError, AttributeError) as error:
                raise DataError(
                    f"{places.get(corpus)}: expected {corpus} as it is published, found a list of "
                    f"another form ({type(error).__name__}: {error}); get it again, and pass its "
                    f"folder with --place {corpus}=..."
                ) from error
            shown = ", ".join(f"{name} {count}" for name, count in counts.items())
            print(f"{task.name}: {corpus} in {places[corpus]}: {shown}")


def _libsox() -> list[str]:
    try:
        from torchaudio.sox_effects import apply_effects_tensor

        apply_effects_tensor(torch.zeros(1, 1600), 16000, [["gain", "-3.0"]])
    except (ImportError, OSError, RuntimeError) as error:
        return [
            f"expected torchaudio with sox effects, found none ({str(error)[:100]}); use "
            "torchaudio before 2.9 and install libsox (apt-get install libsox-dev, or conda "
            "install sox)"
        ]
    return []


if __name__ == "__main__":
    main()
