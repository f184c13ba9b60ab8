"""Pre-train an SSL encoder by telling voices apart (an ESPnet training command).

Example: python -m espnet_prune.bin.voice_train --config conf/train.yaml --output_dir exp/voices
"""

from __future__ import annotations

from collections.abc import Sequence

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.voice_task import VoiceTask


def get_parser():
    """ESPnet's own training options, and those of the task."""
    return VoiceTask.get_parser()


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    with explained("voice_train"):
        VoiceTask.main(cmd=cmd)


if __name__ == "__main__":
    main()
