"""Deprecated: run one of ESPnet's own commands, which know ``frontend: pruned_ssl``."""

from argparse import ArgumentParser

from espnet_prune.launcher import launch, launcher_parser


def get_parser() -> ArgumentParser:
    return launcher_parser(
        "espnet_prune.bin.run", "-m espnet2.bin.asr_train --frontend pruned_ssl ..."
    )


def main(cmd: list[str] | None = None) -> None:
    launch(get_parser(), cmd)


if __name__ == "__main__":
    main()
