"""Fine-tune an SSL encoder and a powerset diarization head (an ESPnet training command).

Example: python -m espnet_prune.bin.powerset_train --config conf/train.yaml --output_dir exp/dense
"""

from __future__ import annotations

from collections.abc import Sequence

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.powerset_task import PowersetDiarizationTask


def get_parser():
    """ESPnet's own training options, and those of the task."""
    return PowersetDiarizationTask.get_parser()


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    with explained("powerset_train"):
        PowersetDiarizationTask.main(cmd=cmd)


if __name__ == "__main__":
    main()
