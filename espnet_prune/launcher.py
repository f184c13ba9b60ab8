"""What is left of the launchers of ESPnet's and s3prl's commands, which know this project now."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path


def launcher_parser(prog: str, example: str) -> argparse.ArgumentParser:
    """The command line: Python's own, ``-m module args ...`` or ``script.py args ...``."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {prog}",
        description="Deprecated: ESPnet and s3prl know this project; call their commands as such.",
        epilog=f"For example: python {example}",
    )
    parser.add_argument("-m", dest="as_module", action="store_true", help="TARGET is a module")
    parser.add_argument("target", help="what to run: a script, or a module after -m")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the command's own arguments")
    return parser


def launch(parser: argparse.ArgumentParser, cmd: Sequence[str] | None) -> None:
    """Run what ``cmd`` names as ``python`` would; end with status 2 where there is no such."""
    args = parser.parse_args(cmd)
    print(f"{parser.prog} is deprecated; leave it out: hosts know this project", file=sys.stderr)
    try:
        found = find_spec(args.target) if args.as_module else Path(args.target).read_bytes()
    except (ImportError, ValueError, OSError):
        found = None
    if not found:
        kind = "module" if args.as_module else "script"
        print(f"expected a {kind} to run, found none named {args.target!r}", file=sys.stderr)
        sys.exit(2)
    sys.argv = [args.target, *args.arguments]
    if args.as_module:
        runpy.run_module(args.target, run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(args.target).resolve().parent))
        runpy.run_path(args.target, run_name="__main__")
