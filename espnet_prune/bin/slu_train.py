"""Train ESPnet's spoken language understanding, pruning its SSL encoder on the way if asked.

Example: python -m espnet_prune.bin.slu_train --config conf/hj_mac.yaml --output_dir exp/p
Every option of espnet2.bin.slu_train is one of this command.
"""

from __future__ import annotations

from collections.abc import Sequence

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.pruned_tasks import PrunedSLUTask


def get_parser():
    """ESPnet's own training options, and those of pruning."""
    return PrunedSLUTask.get_parser()


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    with explained("slu_train"):
        PrunedSLUTask.main(cmd=cmd)


if __name__ == "__main__":
    main()
