"""Run an s3prl or ESPnet command, which knows the ``pruned_wavlm`` upstream without it by now."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from espnet_prune.launcher import launch, launcher_parser


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return launcher_parser(
        "python -m s3prl_plugin.run",
        "Deprecated: s3prl's own commands know the upstream pruned_wavlm; call them as they are.",
        "For example: python -m s3prl.run_downstream -m train -u pruned_wavlm -k exp/pruned "
        "-d diarization -c config.yaml -n pruned",
    )


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command as ``python`` would."""
    launch(get_parser(), cmd)


if __name__ == "__main__":
    main()
