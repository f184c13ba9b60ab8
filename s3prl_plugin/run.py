"""Deprecated: run one of s3prl's own commands, which know the upstream ``pruned_wavlm``."""

from __future__ import annotations

import argparse
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m s3prl_plugin.run",
        description="Deprecated: s3prl knows this project; call its commands as such.",
        epilog="For example: python -m s3prl.run_downstream -m train -u pruned_wavlm ...",
    )
    parser.add_argument("-m", dest="as_module", action="store_true", help="TARGET is a module")
    parser.add_argument("target", help="what to run: a script, or a module after -m")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the command's own arguments")
    return parser


def main(cmd: list[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    print(f"{parser.prog} is deprecated; leave it out: s3prl knows this project", file=sys.stderr)
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


if __name__ == "__main__":
    main()
