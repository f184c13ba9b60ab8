#!/usr/bin/env python3
"""Generates conversations of two synthetic speakers, in the layout of s3prl's diarization task."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from data_dir import write_data_dir
from generate_meetings import render_meeting
from recordings import Job, render_all
from speech import SAMPLE_RATE
from voices import SETS, voices_of


def get_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same corpus")
    parser.add_argument("--num_train", type=int, default=240, help="training conversations")
    parser.add_argument("--num_dev", type=int, default=24, help="development conversations")
    parser.add_argument("--num_test", type=int, default=48, help="test conversations")
    parser.add_argument("--duration", type=float, default=10.0, help="seconds, about, of each")
    parser.add_argument("--nj", type=int, default=2, help="conversations to render at a time")
    parser.add_argument(
        "--data_dir", type=Path, default=Path("data"), help="where train, dev and test are written"
    )
    return parser


def pair_job(set_name: str, index: int, duration: float, seed: int) -> Job:
    """Returns one conversation of a set: two voices of different variants of espeak-ng."""
    seeds = (seed, SETS.index(set_name), index)
    rng = np.random.default_rng(seeds)
    variants: dict[str, list[str]] = {}
    for voice in voices_of(set_name):
        variants.setdefault(voice.variant, []).append(voice.name)
    present = rng.choice(sorted(variants), 2, replace=False)
    speakers = tuple(str(rng.choice(variants[variant])) for variant in present)
    return Job(f"{set_name}_{index:03d}", speakers, duration, seeds)


def main(cmd: Sequence[str] | None = None) -> None:
    """Generates the corpus."""
    args = get_parser().parse_args(cmd)
    sizes = {"train": args.num_train, "dev": args.num_dev, "test": args.num_test}
    folder = args.data_dir.resolve()
    for set_name, size in sizes.items():
        jobs = [pair_job(set_name, index, args.duration, args.seed) for index in range(size)]
        audio = folder / "local" / "audio" / set_name
        write_data_dir(
            folder / set_name, render_all(jobs, render_meeting, audio, SAMPLE_RATE, args.nj)
        )


if __name__ == "__main__":
    main()
