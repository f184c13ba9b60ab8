"""Train ESPnet's speech recognition, pruning its SSL encoder on the way if asked.

Example: python -m espnet_prune.bin.asr_train --config conf/hj_mac.yaml --output_dir exp/p
Every option of espnet2.bin.asr_train is one of this command.
"""

from __future__ import annotations

from collections.abc import Sequence

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.pruned_tasks import PrunedASRTask


def get_parser():
    """ESPnet's own training options, and those of pruning."""
    return PrunedASRTask.get_parser()


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    with explained("asr_train"):
        PrunedASRTask.main(cmd=cmd)


if __name__ == "__main__":
    main()
