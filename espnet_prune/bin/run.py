"""Run one of ESPnet's own commands, which know ``frontend: pruned_ssl`` without it by now."""

from argparse import ArgumentParser

from espnet_prune.launcher import launch, launcher_parser


def get_parser() -> ArgumentParser:
    return launcher_parser(
        "python -m espnet_prune.bin.run",
        "Deprecated: ESPnet's own commands know the front end pruned_ssl; call them as they are.",
        "For example: python -m espnet2.bin.asr_train --frontend pruned_ssl ...",
    )


def main(cmd: list[str] | None = None) -> None:
    launch(get_parser(), cmd)


if __name__ == "__main__":
    main()
