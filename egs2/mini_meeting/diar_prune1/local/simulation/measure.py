"""Measure how people take turns in real conversations, for simulating others like them."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import yaml

from egs2.mini_meeting.diar_prune1.local.simulation import measure_turn_taking, turn_taking_table
from espnet_prune.bin.errors import explained
from espnet_prune.data import read_rttm, read_uem
from espnet_prune.storage.files import atomic_write


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rttm", type=Path, help="RTTM file, or a folder of *.rttm")
    parser.add_argument("uem", type=Path, help="UEM file, or a folder of *.uem: what to look at")
    parser.add_argument("--output", type=Path, required=True, help="YAML file to write")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    words = shlex.join(sys.argv[1:] if cmd is None else cmd)
    with explained("measure"):
        measured = measure_turn_taking(read_rttm(args.rttm), read_uem(args.uem))
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(measured).items()}
        text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=100)
        note = f"# python3 -m egs2.mini_meeting.diar_prune1.local.simulation.measure {words}\n"
        atomic_write(args.output, note + text)
        print("\n".join(turn_taking_table({str(args.rttm): measured})))


if __name__ == "__main__":
    main()
