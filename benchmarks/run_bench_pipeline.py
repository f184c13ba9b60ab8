"""Time the whole diarization pipeline beside its peers: two tables and bench_pipeline.json."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.audio import converse
from benchmarks.implementations import fast_precisions
from benchmarks.options import prepare
from benchmarks.pipeline import ALONE, LOADED, PipelineRow, Recording, compare_pipelines, render
from benchmarks.pipelines import EMBEDDINGS, MODEL, PIPELINES, STEPS, STRETCHES, find_subjects
from benchmarks.results import write_json
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, positive, seed
from espnet_prune.encoder import PRESETS
from espnet_prune.inference import PRECISIONS
from espnet_prune.storage.files import atomic_write


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--seconds", type=amount, default=60.0, help="of the conversation (default: 60)")
    add("--speakers", type=positive, default=3, help="in it (default: 3)")
    add("--rounds", type=positive, default=5, help="of each condition (default: 5)")
    add("--model", choices=list(PRESETS), default=MODEL, help=f"of ours (default: {MODEL})")
    help_ = "of windows of ours, in seconds (default: 2.0 0.8)"
    add("--steps", type=amount, nargs="+", default=STEPS, help=help_)
    help_ = "ssl, resnet34 (random weights) or campplus, of ours (default: ssl resnet34)"
    add("--embeddings", nargs="+", default=EMBEDDINGS, metavar="NAME", help=help_)
    help_ = "that the encoder of ours hears at once, in seconds; 0 is a window (default: 0 16)"
    add("--stretches", type=amount, nargs="+", default=STRETCHES, help=help_)
    help_ = "of ours (default: float32, bfloat16 where the processor has instructions for it, int8)"
    add("--precisions", nargs="+", choices=PRECISIONS, help=help_)
    help_ = f"kinds of pipelines: {', '.join(PIPELINES)} (default: all of them)"
    add("--only", nargs="+", choices=list(PIPELINES), metavar="KIND", help=help_)
    help_ = "again beside a busy process for each core (default: yes)"
    add("--load", action=argparse.BooleanOptionalAction, default=True, help=help_)
    add("--threads", type=positive, help="of the CPU (default: every core)")
    add("--seed", type=seed, default=0, help="of weights and audio")
    add("--output", type=Path, default=Path("exp"), help="folder (default: exp)")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("bench_pipeline"), tempfile.TemporaryDirectory() as folder:
        setting = prepare(args, "cpu")
        path = Path(folder) / "conversation.wav"
        audio = converse(path, args.seconds, args.seed, args.speakers)
        recording = Recording(path, audio, args.seconds)
        precisions = args.precisions or fast_precisions("cpu")
        subjects = find_subjects(
            args.model, args.steps, args.embeddings, precisions, args.stretches
        )
        subjects = [each for each in subjects if not args.only or each.kind in args.only]
        conditions = [ALONE, LOADED] if args.load else [ALONE]
        rows: list[PipelineRow] = []
        for found in compare_pipelines(
            subjects, recording, setting, args.rounds, conditions, Path(folder)
        ):
            rows += found
            write_json(rows, args.output / "bench_pipeline.json")
            atomic_write(args.output / "bench_pipeline.md", render(rows))
        print(render(rows))


if __name__ == "__main__":
    main()
