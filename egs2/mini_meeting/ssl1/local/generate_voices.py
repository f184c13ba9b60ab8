#!/usr/bin/env python3
"""Generates monologues of the training voices of the meeting corpus, to pre-train an encoder on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
from data_dir import write_data_dir
from recordings import Job, render_all
from rooms import impulse_responses, record
from sentences import sentence
from speech import SAMPLE_RATE, Synthesizer
from turns import Turn, Utterance, turns_of
from voices import voices_of

_EDGE = 0.4  # seconds before the first and after the last word
_SETS = ("train", "dev")
_VOICES = {voice.name: voice for voice in voices_of("train")}


def get_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same corpus")
    parser.add_argument(
        "--num_voices", type=int, default=len(_VOICES), help="how many of the voices speak"
    )
    parser.add_argument(
        "--num_train", type=int, default=6, help="training recordings of a voice, a room for each"
    )
    parser.add_argument("--num_dev", type=int, default=1, help="development recordings of a voice")
    parser.add_argument(
        "--duration", type=float, default=10.0, help="seconds, at least, of a recording"
    )
    parser.add_argument("--nj", type=int, default=2, help="recordings to render at a time")
    parser.add_argument(
        "--data_dir", type=Path, default=Path("data"), help="where train and dev are written"
    )
    return parser


def _new_sentence(rng: np.random.Generator, for_dev: bool) -> str:
    """Returns a sentence; a tenth of all that there are is kept for dev."""
    while True:
        text = sentence(rng)
        if (crc32(text.encode()) % 10 == 0) == for_dev:
            return text


def render_monologue(job: Job) -> tuple[np.ndarray, list[Turn]]:
    """Returns the waveform `(T,)` and the turns of one speaker in one room."""
    rng = np.random.default_rng(job.seed)
    synthesizer = Synthesizer(int(rng.integers(2**31)))
    (speaker,) = job.speakers
    for_dev = job.recording.endswith("_dev")
    utterances: list[Utterance] = []
    position = round(_EDGE * SAMPLE_RATE)
    while position < job.duration * SAMPLE_RATE:
        wave = synthesizer.say(_VOICES[speaker], _new_sentence(rng, for_dev))
        utterances.append(Utterance(speaker, position, wave))
        position = utterances[-1].end + round(rng.uniform(0.15, 0.8) * SAMPLE_RATE)
    length = utterances[-1].end + round(_EDGE * SAMPLE_RATE)
    responses = dict(zip(job.speakers, impulse_responses(rng, 1, SAMPLE_RATE), strict=True))
    wave = record(rng, utterances, responses, length, SAMPLE_RATE)
    return wave, turns_of(utterances, SAMPLE_RATE)


def main(cmd: Sequence[str] | None = None) -> None:
    """Generates the corpus."""
    args = get_parser().parse_args(cmd)
    for set_name, size in zip(_SETS, (args.num_train, args.num_dev), strict=True):
        jobs = [
            Job(
                f"{speaker}_{index:02d}_{set_name}",
                (speaker,),
                args.duration,
                (args.seed, _SETS.index(set_name), number, index),
            )
            for number, speaker in enumerate(list(_VOICES)[: args.num_voices])
            for index in range(size)
        ]
        audio = args.data_dir / "local" / "audio" / set_name
        recordings = render_all(jobs, render_monologue, audio, SAMPLE_RATE, args.nj)
        write_data_dir(args.data_dir / set_name, recordings)


if __name__ == "__main__":
    main()
