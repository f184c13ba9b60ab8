"""Train ESPnet's own diarization, pruning its SSL encoder on the way if asked.

Example: python -m espnet_prune.bin.diar_train --config train.yaml --output_dir exp/prune
Every option of espnet2.bin.diar_train is one of this command.
"""

from __future__ import annotations

from collections.abc import Sequence

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.pruned_tasks import PrunedDiarizationTask


def get_parser():
    """ESPnet's own training options, and those of pruning."""
    return PrunedDiarizationTask.get_parser()


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    with explained("diar_train"):
        PrunedDiarizationTask.main(cmd=cmd)


if __name__ == "__main__":
    main()
