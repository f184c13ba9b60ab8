"""Distil a teacher into a student, pruning it on the way if asked (an ESPnet training command).

Example: python -m espnet_prune.bin.distill_train --config conf/prune.yaml --output_dir exp/prune
"""

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.distillation_task import DistillationTask


def get_parser():
    return DistillationTask.get_parser()


@explained("distill_train")
def main(cmd: list[str] | None = None) -> None:
    DistillationTask.main(cmd=cmd)


if __name__ == "__main__":
    main()
