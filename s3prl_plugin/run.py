"""Run an s3prl or ESPnet command that knows the ``pruned_wavlm`` upstream.

Importing this package has registered it; what is left is to run the command in this process.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path


def get_parser() -> argparse.ArgumentParser:
    """The command line: Python's own, ``-m module args ...`` or ``script.py args ...``."""
    parser = argparse.ArgumentParser(
        prog="python -m s3prl_plugin.run",
        description="Run a command with the s3prl upstream pruned_wavlm registered.",
        epilog="For example: python -m s3prl_plugin.run -m s3prl.run_downstream -m train "
        "-u pruned_wavlm -k exp/pruned -d diarization -c config.yaml -n pruned",
    )
    parser.add_argument("-m", dest="as_module", action="store_true", help="TARGET is a module")
    parser.add_argument("target", help="what to run: a script, or a module after -m")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the command's own arguments")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command as ``python`` would."""
    args = get_parser().parse_args(cmd)
    sys.argv = [args.target, *args.arguments]
    if args.as_module:
        runpy.run_module(args.target, run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(args.target).resolve().parent))
        runpy.run_path(args.target, run_name="__main__")


if __name__ == "__main__":
    main()
