"""Train ESPnet's speech recognition, pruning its SSL encoder on the way if asked.

Example: python -m espnet_prune.bin.asr_train --config conf/hj_mac.yaml --output_dir exp/p
Every option of espnet2.bin.asr_train is one of this command.
"""

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.pruned_tasks import PrunedASRTask


def get_parser():
    return PrunedASRTask.get_parser()


@explained("asr_train")
def main(cmd: list[str] | None = None) -> None:
    PrunedASRTask.main(cmd=cmd)


if __name__ == "__main__":
    main()
