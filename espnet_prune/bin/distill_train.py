"""Distil a teacher into a student, pruning it on the way if asked (an ESPnet training command).

Example: python -m espnet_prune.bin.distill_train --config conf/prune.yaml --output_dir exp/prune
"""

from __future__ import annotations

from collections.abc import Sequence

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.distillation_task import DistillationTask


def get_parser():
    """ESPnet's own training options, and those of the task."""
    return DistillationTask.get_parser()


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    with explained("distill_train"):
        DistillationTask.main(cmd=cmd)


if __name__ == "__main__":
    main()
