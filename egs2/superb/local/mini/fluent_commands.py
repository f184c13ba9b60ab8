#!/usr/bin/env python3
"""Lays the generated commands of a recipe out as Fluent Speech Commands, which s3prl reads."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_EGS2 = Path(__file__).resolve().parents[3]


def get_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path, help="mini_speech/slu1, with its data")
    parser.add_argument("output", type=Path, help="folder for data/*.csv and links to the audio")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Writes the layout."""
    args = get_parser().parse_args(cmd)
    # The recipe's own programs, and those that it borrows.
    shared = (_EGS2 / "mini_speech/asr1/local", _EGS2 / "mini_meeting/diar1/local")
    sys.path[:0] = [str(folder) for folder in (args.recipe.resolve() / "local", *shared)]
    from fluent_layout import write_fluent_layout

    output = args.output.resolve()
    os.chdir(args.recipe)  # its data name the audio relative to it
    write_fluent_layout(Path("data"), output)


if __name__ == "__main__":
    main()
