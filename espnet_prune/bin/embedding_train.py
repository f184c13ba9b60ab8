"""Distil CAM++'s speaker embeddings into a head on an encoder (an ESPnet training command).

Example: python -m espnet_prune.bin.embedding_train --config conf/head.yaml --model exp/pruned
"""

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.embedding_task import EmbeddingTask


def get_parser():
    return EmbeddingTask.get_parser()


@explained("embedding_train")
def main(cmd: list[str] | None = None) -> None:
    EmbeddingTask.main(cmd=cmd)


if __name__ == "__main__":
    main()
