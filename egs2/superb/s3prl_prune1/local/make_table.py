"""Put the results of SUPERB's tasks in one table, beside published ones."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from egs2.superb.s3prl_prune1.local.results import read_published, render, to_json
from espnet_prune.bin.errors import explained
from espnet_prune.storage.files import atomic_write, require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folders", type=Path, nargs="+", help="of an encoder each: <folder>/<task>/result.json"
    )
    parser.add_argument("--published", type=Path, help="YAML table of published results")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for RESULTS.md and results.json"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("make_table"):
        require_writable(args.output / "results.json")
        published = read_published(args.published) if args.published else None
        text = render(args.folders, published)
        atomic_write(args.output / "results.json", to_json(args.folders))
        atomic_write(args.output / "RESULTS.md", text)
        print(text)


if __name__ == "__main__":
    main()
