"""Utterances of the synthetic voices: who says what, how it sounds, and its data directory."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from recordings import Job, render_all
from rooms import record
from speech import SAMPLE_RATE, Synthesizer
from turns import Turn, Utterance, turns_of
from voices import SETS, voices_of

_PAUSE = (0.1, 0.25)  # seconds of silence before and after the words, shortest and longest
_PROGRAM = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()

Compose = Callable[[np.random.Generator, int, str], tuple[str, str]]
"""Makes what is said and the line of `text`, of (source of choices, index, set)."""


@dataclass(frozen=True)
class UtteranceJob(Job):
    """All that an utterance depends on.

    Attributes:
        words: what is said.
        text: its line of the table `text`.
        program: digest of this program.
    """

    words: str
    text: str
    program: str = _PROGRAM


def get_parser(description: str | None) -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same corpus")
    parser.add_argument("--num_train", type=int, default=600, help="training utterances")
    parser.add_argument("--num_dev", type=int, default=60, help="development utterances")
    parser.add_argument("--num_test", type=int, default=135, help="test utterances")
    parser.add_argument("--nj", type=int, default=2, help="utterances to render at a time")
    parser.add_argument(
        "--data_dir", type=Path, default=Path("data"), help="where train, dev and test are written"
    )
    return parser


def generate(args: argparse.Namespace, compose: Compose) -> None:
    """Generates train, dev and test; what an earlier run has finished is kept.

    Args:
        args: options of `get_parser`.
        compose: makes the sentences.
    """
    sizes = {"train": args.num_train, "dev": args.num_dev, "test": args.num_test}
    sets = {name: _jobs(name, size, args.seed, compose) for name, size in sizes.items()}
    wavs: dict[str, dict[str, str]] = {}
    for set_name, jobs in sets.items():
        audio = args.data_dir / "local" / "audio" / set_name
        recordings = render_all(jobs, _render, audio, SAMPLE_RATE, args.nj)
        wavs[set_name] = {item.recording: str(item.path) for item in recordings}
    # Late, because it imports torch, with which every fork above would take several times as long.
    from espnet_prune.speech import UtteranceDir, write_utterance_dir

    for set_name, jobs in sets.items():
        speakers = {job.recording: job.speakers[0] for job in jobs}
        texts = {job.recording: job.text for job in jobs}
        write_utterance_dir(UtteranceDir(wavs[set_name], speakers, texts), args.data_dir / set_name)


def _jobs(set_name: str, size: int, seed: int, compose: Compose) -> list[UtteranceJob]:
    jobs = []
    for index, speaker in enumerate(_speakers(set_name, size, seed)):
        seeds = (seed, SETS.index(set_name), index)
        words, text = compose(np.random.default_rng(seeds), index, set_name)
        name = f"{speaker}-{set_name}{index:05d}"
        jobs.append(UtteranceJob(name, (speaker,), 0.0, seeds, words, text))
    return jobs


def _speakers(set_name: str, size: int, seed: int) -> Sequence[str]:
    """Returns who speaks: all voices of a set in turn, in another order every time."""
    names = [voice.name for voice in voices_of(set_name)]
    rng = np.random.default_rng((seed, SETS.index(set_name)))
    rounds = -(-size // len(names))
    return [str(name) for _ in range(rounds) for name in rng.permutation(names)][:size]


def _render(job: Job) -> tuple[np.ndarray, list[Turn]]:
    """Returns the waveform `(T,)` of an utterance, with light noise, and its turns."""
    assert isinstance(job, UtteranceJob)
    rng = np.random.default_rng((*job.seed, 1))
    voices = {voice.name: voice for name in SETS for voice in voices_of(name)}
    [speaker] = job.speakers
    wave = Synthesizer(int(rng.integers(2**31))).say(voices[speaker], job.words)
    before, after = (round(pause * SAMPLE_RATE) for pause in rng.uniform(*_PAUSE, 2))
    utterance = Utterance(speaker, before, wave)
    # A microphone at the mouth: no reverberation.
    mouth = {speaker: np.ones(1)}
    samples = record(rng, [utterance], mouth, utterance.end + after, SAMPLE_RATE)
    return samples, turns_of([utterance], SAMPLE_RATE)
