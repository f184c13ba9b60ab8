"""Distil CAM++'s speaker embeddings into a head on an encoder (an ESPnet training command).

Example: python -m espnet_prune.bin.embedding_train --config conf/head.yaml --model exp/pruned
"""

from __future__ import annotations

from collections.abc import Sequence

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.embedding_task import EmbeddingTask


def get_parser():
    """ESPnet's own training options, and those of the task."""
    return EmbeddingTask.get_parser()


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    with explained("embedding_train"):
        EmbeddingTask.main(cmd=cmd)


if __name__ == "__main__":
    main()
