"""Simulate recordings of conversations out of read utterances of single speakers."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from egs2.mini_meeting.diar_prune1.local.simulation import (
    Corpus,
    Settings,
    read_turn_taking,
    simulate,
    turn_taking_table,
)
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, positive, seed
from espnet_prune.data import DataError, read_utterance_dir
from espnet_prune.report.figure import check_plot
from espnet_prune.storage.files import require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "corpora",
        metavar="NAME=DIR",
        nargs="+",
        type=_named,
        help="data directories (wav.scp, utt2spk), each of another corpus: no recording mixes two",
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="data directory to write, with its audio"
    )
    parser.add_argument("--turn_taking", type=Path, required=True, help="YAML file of measure")
    parser.add_argument("--recordings", type=positive, required=True, help="how many")
    parser.add_argument(
        "--num_speakers", type=_speakers, nargs="+", default=[2, 3, 4], help="of them in turn"
    )
    parser.add_argument(
        "--duration", type=amount, nargs=2, default=[30.0, 45.0], help="their range in seconds"
    )
    parser.add_argument(
        "--gain",
        type=amount,
        default=5.0,
        help="a turn is louder or softer by up to so many dB",
    )
    parser.add_argument(
        "--rooms",
        help="shoebox (simulated ones), or a SOFA file of impulse responses (none without)",
    )
    parser.add_argument(
        "--snr",
        type=_decibels,
        nargs=2,
        help="range in dB of speech over noise (none without)",
    )
    parser.add_argument(
        "--speed_perturb_factors",
        type=amount,
        nargs="+",
        default=[1.0],
        help="each voice of a recording is so many times as fast and as high, one of these",
    )
    parser.add_argument("--seed", type=seed, default=0, help="the same seed, the same bytes")
    parser.add_argument("--nj", type=positive, default=1, help="recordings to make at a time")
    parser.add_argument(
        "--disjoint_from",
        metavar="DIR",
        type=Path,
        nargs="+",
        default=[],
        help="simulated data directories whose speakers must not take part",
    )
    parser.add_argument(
        "--plot", type=Path, help="PNG, PDF, SVG or JPEG file of the statistics beside the targets"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("simulate_conversations"):
        if args.plot:
            check_plot(args.plot)
            require_writable(args.plot)
        settings = Settings(
            args.recordings,
            tuple(args.num_speakers),
            tuple(args.duration),
            args.gain,
            args.rooms,
            tuple(args.snr) if args.snr else None,
            tuple(sorted(args.speed_perturb_factors)),
            args.seed,
        )
        target = read_turn_taking(args.turn_taking)
        corpora = [_read_corpus(name, path) for name, path in args.corpora]
        found = simulate(corpora, args.output, target, settings, args.nj, args.disjoint_from)
        print("\n".join(turn_taking_table({"target": target, str(args.output): found})))
        if args.plot:
            from egs2.mini_meeting.diar_prune1.local.simulation.plot import plot_turn_taking

            plot_turn_taking(target, found, args.output.name, args.plot)


def _read_corpus(name: str, path: Path) -> Corpus:
    data = read_utterance_dir(path)
    if data.segments:
        raise DataError(
            f"{path}: expected one file of each utterance, found segments; cut them with check_data"
        )
    utterances: dict[str, list[str]] = {}
    for utterance, speaker in data.speakers.items():
        utterances.setdefault(speaker, []).append(data.wavs[utterance])
    return Corpus(name, utterances)


def _named(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path) or len(name.split()) != 1:
        raise argparse.ArgumentTypeError(
            f"expected a name of the corpus and its data directory as NAME=DIR, found {text!r}"
        )
    return name, Path(path)


def _speakers(text: str) -> int:
    if (number := positive(text)) < 2:
        raise argparse.ArgumentTypeError(f"expected 2 speakers or more, found {text!r}")
    return number


def _decibels(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"expected a number of dB, found {text!r}")
    return number


if __name__ == "__main__":
    main()
