"""Run one of ESPnet's own commands with ``frontend: pruned_ssl`` registered."""

from argparse import ArgumentParser

from espnet_prune.bin.errors import refused
from espnet_prune.data import DataError
from espnet_prune.encoder import ConfigError
from espnet_prune.espnet.registration import register
from espnet_prune.launcher import launch, launcher_parser
from espnet_prune.storage import CheckpointError


def get_parser() -> ArgumentParser:
    return launcher_parser(
        "python -m espnet_prune.bin.run",
        "Run an ESPnet command with the front end pruned_ssl registered for asr, diar and slu.",
        "For example: python -m espnet_prune.bin.run -m espnet2.bin.asr_train --frontend "
        'pruned_ssl ...; or give a recipe of ESPnet --python "python3 -m espnet_prune.bin.run".',
    )


def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    register()
    try:
        launch(args)
    except (CheckpointError, ConfigError, DataError) as error:  # ours; ESPnet's tell where
        raise refused(f"{args.target}: {error}") from error


if __name__ == "__main__":
    main()
