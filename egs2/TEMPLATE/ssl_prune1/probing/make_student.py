"""Make a student of a pruned encoder's size without pruning, to be distilled beside it.

Example: python -m egs2.TEMPLATE.ssl_prune1.probing.make_student uniform \\
    exp/applied_encoder exp/ssl --output exp/u
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from egs2.TEMPLATE.ssl_prune1.probing.students import random_student, uniform_student
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import seed
from espnet_prune.encoder import SSLEncoder
from espnet_prune.pruning import count_params


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "kind",
        choices=("random", "uniform"),
        help="random: the shape that pruning found, with fresh weights; uniform: the teacher's "
        "first units and their weights, the same share in every layer",
    )
    parser.add_argument("pruned", help="encoder whose size the student gets")
    parser.add_argument("teacher", help="encoder that was pruned")
    parser.add_argument("--output", type=Path, required=True, help="folder for the student")
    parser.add_argument("--seed", type=seed, default=0, help="of fresh weights (default: 0)")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("make_student"):
        shape = SSLEncoder.from_pretrained(args.pruned).config
        wanted = count_params(shape).total
        if args.kind == "random":
            student = random_student(shape, args.seed)
        else:
            student = uniform_student(SSLEncoder.from_pretrained(args.teacher), wanted)
        student.save_pretrained(args.output)
    found = count_params(student.config).total
    print(f"{args.kind} student of {found} parameters beside {wanted} ({found / wanted - 1:+.2%})")


if __name__ == "__main__":
    main()
