"""Train ESPnet's spoken language understanding, pruning its SSL encoder on the way if asked.

Example: python -m espnet_prune.bin.slu_train --config conf/hj_mac.yaml --output_dir exp/p
Every option of espnet2.bin.slu_train is one of this command.
"""

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.pruned_tasks import PrunedSLUTask


def get_parser():
    return PrunedSLUTask.get_parser()


@explained("slu_train")
def main(cmd: list[str] | None = None) -> None:
    PrunedSLUTask.main(cmd=cmd)


if __name__ == "__main__":
    main()
