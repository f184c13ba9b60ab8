#!/usr/bin/env python3
"""Generates conversations of a few synthetic speakers, recorded by one distant microphone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from conversation import Conversation
from data_dir import write_data_dir
from recordings import Job, render_all
from rooms import impulse_responses, record
from speech import SAMPLE_RATE, Synthesizer
from turns import Turn, turns_of
from voices import SETS, voices_of

_TAIL = 0.7  # seconds after the last word
# Duration of the meetings of a set over --duration, shortest and longest.
_SPREAD = {"train": (0.85, 1.15), "dev": (0.85, 1.15), "test": (1.0, 1.5)}


def get_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same corpus")
    parser.add_argument("--num_train", type=int, default=64, help="training meetings")
    parser.add_argument("--num_dev", type=int, default=8, help="development meetings")
    parser.add_argument("--num_test", type=int, default=12, help="test meetings")
    parser.add_argument("--duration", type=float, default=60.0, help="seconds, about, of a meeting")
    parser.add_argument(
        "--num_speakers", type=int, nargs="+", default=[2, 3, 4], help="of the meetings in turn"
    )
    parser.add_argument("--nj", type=int, default=2, help="meetings to render at a time")
    parser.add_argument(
        "--data_dir", type=Path, default=Path("data"), help="where train, dev and test are written"
    )
    return parser


def meeting_job(set_name: str, index: int, args: argparse.Namespace) -> Job:
    """Returns one meeting of a set, of speakers of different variants of espeak-ng."""
    seeds = (args.seed, SETS.index(set_name), index)
    rng = np.random.default_rng(seeds)
    variants: dict[str, list[str]] = {}
    for voice in voices_of(set_name):
        variants.setdefault(voice.variant, []).append(voice.name)
    speakers = args.num_speakers[index % len(args.num_speakers)]
    present = rng.choice(sorted(variants), speakers, replace=False)
    return Job(
        recording=f"{set_name}_{index:03d}",
        speakers=tuple(str(rng.choice(variants[variant])) for variant in present),
        duration=float(args.duration * rng.uniform(*_SPREAD[set_name])),
        seed=seeds,
    )


def render_meeting(job: Job) -> tuple[np.ndarray, list[Turn]]:
    """Returns the waveform `(T,)` and the turns of a meeting."""
    rng = np.random.default_rng((*job.seed, 1))
    synthesizer = Synthesizer(int(rng.integers(2**31)))
    voices = {voice.name: voice for name in SETS for voice in voices_of(name)}
    conversation = Conversation(
        rng, job.speakers, lambda name, text: synthesizer.say(voices[name], text), SAMPLE_RATE
    )
    utterances = conversation.hold(job.duration)
    length = max(utterance.end for utterance in utterances) + round(_TAIL * SAMPLE_RATE)
    seats = impulse_responses(rng, len(job.speakers), SAMPLE_RATE)
    responses = dict(zip(job.speakers, seats, strict=True))
    wave = record(rng, utterances, responses, length, SAMPLE_RATE)
    return wave, turns_of(utterances, SAMPLE_RATE)


def main(cmd: Sequence[str] | None = None) -> None:
    """Generates the corpus."""
    args = get_parser().parse_args(cmd)
    sizes = {"train": args.num_train, "dev": args.num_dev, "test": args.num_test}
    for set_name, size in sizes.items():
        jobs = [meeting_job(set_name, i, args) for i in range(size)]
        audio = args.data_dir / "local" / "audio" / set_name
        recordings = render_all(jobs, render_meeting, audio, SAMPLE_RATE, args.nj)
        write_data_dir(args.data_dir / set_name, recordings)


if __name__ == "__main__":
    main()
