"""Run an s3prl or ESPnet command that knows the ``pruned_wavlm`` upstream.

Importing this package has registered it; what is left is to run the command in this process.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from espnet_prune.launcher import launch, launcher_parser


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return launcher_parser(
        "python -m s3prl_plugin.run",
        "Run a command with the s3prl upstream pruned_wavlm registered.",
        "For example: python -m s3prl_plugin.run -m s3prl.run_downstream -m train "
        "-u pruned_wavlm -k exp/pruned -d diarization -c config.yaml -n pruned",
    )


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command as ``python`` would."""
    launch(get_parser().parse_args(cmd))


if __name__ == "__main__":
    main()
