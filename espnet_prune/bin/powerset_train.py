"""Fine-tune an SSL encoder and a powerset diarization head (an ESPnet training command).

Example: python -m espnet_prune.bin.powerset_train --config conf/train.yaml --output_dir exp/dense
"""

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.powerset_task import PowersetDiarizationTask


def get_parser():
    return PowersetDiarizationTask.get_parser()


@explained("powerset_train")
def main(cmd: list[str] | None = None) -> None:
    PowersetDiarizationTask.main(cmd=cmd)


if __name__ == "__main__":
    main()
