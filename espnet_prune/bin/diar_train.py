"""Train ESPnet's own diarization, pruning its SSL encoder on the way if asked.

Example: python -m espnet_prune.bin.diar_train --config train.yaml --output_dir exp/prune
Every option of espnet2.bin.diar_train is one of this command.
"""

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.pruned_tasks import PrunedDiarizationTask


def get_parser():
    return PrunedDiarizationTask.get_parser()


@explained("diar_train")
def main(cmd: list[str] | None = None) -> None:
    PrunedDiarizationTask.main(cmd=cmd)


if __name__ == "__main__":
    main()
